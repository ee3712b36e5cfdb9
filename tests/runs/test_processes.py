"""One run on two processes: the curve of one process, one directory, and one end, whatever happens to either."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DIGITS, FORKS, final_state, rows, steps_saved, tensors, timeless, wait_for

from lookahead_bench import run
from lookahead_bench.cli import command, main
from lookahead_bench.errors import ConfigError
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.processes import PLACE

COMMAND = [sys.executable, "-m", "lookahead_bench"]
LONG = ["optimizer=lookahead", "model.hidden=[8]", "tracker=none", "epochs=null", "max_steps=1000000"]

CURVES = {
    "lookahead": ["optimizer=lookahead", *DIGITS, "ema=0.9"],
    "multilayer": ["optimizer=multilayer", *DIGITS, "optimizer.k=[2,3]", "clip_norm=0.5", "schedule=plateau"],
    "extra_adam": ["optimizer=extra_adam", *DIGITS, "resample=call"],
    "la_sam": ["optimizer=la_sam", *DIGITS, "dataset.augment=true"],
    "cnn": ["optimizer=snoo", *DIGITS[1:], "model=cnn", "model.widths=[4,8]", "max_steps=5"],
    "lm": ["optimizer=lookahead", "dataset=pydoc_lm", "scale=smoke", "model.width=16", "dataset.vocabulary=100",
           "max_steps=40", "tracker=none"],
    "gan": ["optimizer=lookahead_minmax", "dataset=gaussians_gan", "scale=smoke", "max_steps=8", "tracker=none"],
    "vae": ["optimizer=adam", "dataset=vae", "dataset.data=digits", "dataset.latent=4", "scale=smoke", "max_steps=8",
            "tracker=none"],
}  # fmt: skip


def part(rank: int, commands: Sequence[Sequence[str]], place: str, pause: str) -> None:
    """What process `rank` of two does: these commands, as torchrun's processes would. pause: between checkpoints."""
    os.fsync = lambda handle: None
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOOKAHEAD_BENCH_CHECKPOINT_SECONDS": pause}
    with open(f"{place}/output-{rank}", "a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        status = 0
        for i, one in enumerate(commands):
            os.environ[PLACE] = f"file://{place}/store-{i}"
            try:
                main([*one, "gpu=ddp"])
            except SystemExit as ended:
                status = status or int(ended.code or 0)
        os._exit(status)


def pair(commands: Sequence[Sequence[str]], place: Path, pause: str = "60") -> list[Any]:
    """Two processes that do these runs together."""
    place.mkdir()
    processes = [FORKS.Process(target=part, args=(rank, commands, str(place), pause), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    return processes


def join(processes: Sequence[Any], place: Path, status: int = 0) -> None:
    for rank, process in enumerate(processes):
        process.join(300)
        assert process.exitcode == status, (place / f"output-{rank}").read_text()


def assert_near(one: Path, other: Path, atol: float) -> None:
    """Rows equal but for the rounding of floats."""
    for mine, theirs in zip(timeless(rows(one)), timeless(rows(other)), strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            near = isinstance(value, float) and math.isclose(value, theirs[key], rel_tol=1e-4, abs_tol=atol)
            assert near or value == theirs[key], (mine["step"], mine["split"], key, value, theirs[key])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run of CURVES, by one pair of processes."""
    place = tmp_path_factory.mktemp("curves")
    join(pair([[*one, f"results_dir={place}/{n}"] for n, one in CURVES.items()], place / "pair"), place / "pair")
    return place


def only(results: Path) -> Path:
    """The directory of the one run."""
    (found,) = results.glob("runs/*")
    return found


@pytest.mark.parametrize("name", CURVES)
def test_two_processes_have_the_curve_of_one(name: str, together: Path, tmp_path: Path) -> None:
    alone = run([*CURVES[name], f"results_dir={tmp_path}"])
    assert_near(alone.path, only(together / name), atol=2e-5)
    ours, theirs = (list(tensors(final_state(path)["task"])) for path in (alone.path, only(together / name)))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
    assert (together / "pair" / "output-1").read_text() == ""  # the first one says it all


def test_a_signal_to_one_ends_both_and_any_number_of_processes_goes_on(together: Path, tmp_path: Path) -> None:
    """The second process alone is told. Resumed by two the run has the bits of two, resumed by one their curve."""
    stopped = [*CURVES["lm"], f"results_dir={tmp_path}/stopped"]
    processes = pair([stopped], tmp_path / "first", pause="0")
    wait_for(lambda: steps_saved(tmp_path / "stopped") > 3)
    os.kill(processes[1].pid, signal.SIGTERM)
    join(processes, tmp_path / "first", 128 + signal.SIGTERM)
    record = read_json(only(tmp_path / "stopped") / "run.json")
    assert record is not None
    assert (record["status"], record["signal"], record["hardware"]["processes"]) == ("interrupted", "SIGTERM", 2)
    shutil.copytree(tmp_path / "stopped", tmp_path / "alone")
    join(pair([stopped], tmp_path / "second"), tmp_path / "second")
    whole, resumed = only(together / "lm"), only(tmp_path / "stopped")
    assert timeless(rows(resumed)) == timeless(rows(whole))
    for mine, other in zip(tensors(final_state(resumed)), tensors(final_state(whole)), strict=True):
        assert torch.equal(mine, other)
    assert_near(run([*CURVES["lm"], f"results_dir={tmp_path}/alone"]).path, whole, atol=2e-5)


def test_a_run_that_is_finished_is_told_and_a_diverged_one_is_a_result(together: Path, tmp_path: Path) -> None:
    """By every process of torchrun's, without doing anything twice."""
    before = rows(only(together / "gan"))
    blown = [*CURVES["lookahead"], "optimizer.lr=1e30", f"results_dir={tmp_path}"]
    join(pair([[*CURVES["gan"], f"results_dir={together}/gan"], blown], tmp_path / "pair"), tmp_path / "pair")
    assert rows(only(together / "gan")) == before
    assert read_json(only(tmp_path) / "run.json")["status"] == "diverged"  # type: ignore[index]


def test_why_another_process_has_failed_is_in_the_record(tmp_path: Path) -> None:
    failing = ["optimizer=sgd", "optimizer.base._target_=failing_optimizers.FailsInTheSecond", *DIGITS]
    join(pair([[*failing, f"results_dir={tmp_path}"]], tmp_path / "pair"), tmp_path / "pair", 1)
    record = read_json(only(tmp_path) / "run.json")
    assert record is not None
    assert record["status"] == "failed"
    assert record["error"] == "another process of this run has ended: process 1: MemoryError: no memory left"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A long run that has started two processes, and has some steps behind it."""
    process = subprocess.Popen(
        [*COMMAND, *LONG, "gpu=ddp", f"results_dir={tmp_path}"], stderr=subprocess.PIPE, text=True,
        env=os.environ | {"LOOKAHEAD_BENCH_CHECKPOINT_SECONDS": "0"},
    )  # fmt: skip
    try:
        wait_for(lambda: steps_saved(tmp_path) > 3, seconds=300)
        yield process
    finally:
        process.kill()  # the others end with it
        process.communicate()


def ranks_of(process: subprocess.Popen[str], results: Path) -> tuple[int, int]:
    """The two processes that compute: the first one owns the run."""
    first = int(Lock(only(results) / "run.lock").holder().split()[1])
    (second,) = {child for child in children_of(process.pid) if "spawn_main" in command_line(child)} - {first}
    return first, second


@pytest.mark.fault("processes")
def test_a_process_that_is_killed_fails_the_run_within_seconds(started: subprocess.Popen[str], tmp_path: Path) -> None:
    children, ranks = children_of(started.pid), ranks_of(started, tmp_path)
    os.kill(ranks[1], signal.SIGKILL)
    killed = time.monotonic()
    _, said = started.communicate(timeout=60)
    assert time.monotonic() - killed < 10
    assert started.returncode == 1
    assert said.count("\n") == 1
    assert "process 1 of 2 was killed by SIGKILL" in said
    record = read_json(only(tmp_path) / "run.json")
    assert record is not None
    assert (record["status"], record["error"]) == ("failed", "process 1 of 2 was killed by SIGKILL")
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]
    # multiprocessing's own helper ends when it sees that its owner has
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


@pytest.mark.long
@pytest.mark.fault("processes")
def test_the_first_process_is_killed(started: subprocess.Popen[str], tmp_path: Path) -> None:
    """Which alone writes: the one that has started it tells what has become of it."""
    ranks = ranks_of(started, tmp_path)
    os.kill(ranks[0], signal.SIGKILL)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "process 0 of 2 was killed by SIGKILL" in said
    record = read_json(only(tmp_path) / "run.json")
    assert record is not None
    assert (record["status"], record["error"]) == ("failed", "process 0 of 2 was killed by SIGKILL")
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]


@pytest.mark.long
@pytest.mark.fault("processes")
def test_a_process_that_hangs_is_ended_when_another_one_is_killed(
    started: subprocess.Popen[str], tmp_path: Path
) -> None:
    ranks = ranks_of(started, tmp_path)
    os.kill(ranks[0], signal.SIGSTOP)
    os.kill(ranks[1], signal.SIGKILL)
    _, said = started.communicate(timeout=60)
    assert "process 1 of 2 was killed by SIGKILL" in said
    assert read_json(only(tmp_path) / "run.json")["status"] == "failed"  # type: ignore[index]
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]


@pytest.mark.long
@pytest.mark.fault("processes")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_the_one_that_has_started_them_is_told_to_stop_or_killed(
    name: str, started: subprocess.Popen[str], tmp_path: Path
) -> None:
    ranks = ranks_of(started, tmp_path)
    started.send_signal(getattr(signal, name))
    _, said = started.communicate(timeout=60)
    if name == "SIGKILL":
        wait_for(lambda: not [pid for pid in ranks if Path(f"/proc/{pid}").exists()])
    else:
        assert started.returncode == 128 + getattr(signal, name)
        assert said.splitlines() == [
            f"lookahead-bench: {only(tmp_path).name}: interrupted by {name}; the same command resumes it"
        ]
    assert read_json(only(tmp_path) / "run.json")["status"] == "interrupted"  # type: ignore[index]
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]


@pytest.mark.long
@pytest.mark.fault("processes")
def test_torchrun(together: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, *COMMAND[1:], *CURVES["lm"], "gpu=ddp", f"results_dir={tmp_path}"], capture_output=True, text=True,
        timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.count("best val perplexity") == 1
    assert timeless(rows(only(tmp_path))) == timeless(rows(only(together / "lm")))


def test_a_sweep_under_torchrun_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert command(["-m", "seed=1,2", *DIGITS, "gpu=ddp", f"results_dir={tmp_path}"]) == 2
    assert "leave torchrun out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        (["gpu.processes=3"], "must divide dataset.batch_size=64 into equal parts"),
        (["dataset=bilinear"], "dataset=bilinear cannot be split over processes; use gpu=auto"),
        (["replicas=2"], "gpu.processes splits a run"),
        (["model=resnet20"], "model=resnet20 has BatchNorm"),
        (["dataset=pydoc_lm", "model.dropout=0.5"], "set model.dropout=0, or use gpu=auto"),
        (["gpu.device=cuda:1"], "use gpu.device=cuda"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_split_is_refused_before_any_work(overrides: list[str], rule: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(rule)):
        run(["gpu=ddp", *overrides, f"results_dir={tmp_path}"])
    assert not list(tmp_path.iterdir())


def children_of(pid: int) -> set[int]:
    """Of the processes that there are now, as Linux tells."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(stat.parent.name))
    return found


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()

"""Disks, streams, names and killed workers: one line for the user, the right status, and never a traceback."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tiny_runs import CONF, DIGITS, start

from lookahead_bench import load_results, run
from lookahead_bench.cli import command
from lookahead_bench.configuration.files import PACKAGE

pytestmark = pytest.mark.fault("disk and streams")

SWEEP = ["-m", "optimizer=sgd", "seed=1,2,3", *DIGITS]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    run(["optimizer=sgd", *DIGITS, f"results_dir={path}"])
    return path


def told(arguments: list[str], output: Path, prepare: Callable[[], None], **environment: str) -> tuple[int, list[str]]:
    """Exit status and what was said, of a process of its own."""
    process = start(arguments, output, prepare=prepare, daemon=False, **environment)
    process.join(120)
    process.kill()  # where it is still there
    process.join()
    return process.exitcode, output.read_text().splitlines() if output.exists() else []


def tiny_disk(place: Path, store: Path, read_only: bool) -> None:
    """From now on `place` is, to this process, a disk of 800 KiB with a copy of `store` that takes nothing more."""
    c, ids = ctypes.CDLL(None, use_errno=True), (os.getuid(), os.getgid())
    assert c.unshare(0x10020000) == 0, os.strerror(ctypes.get_errno())  # mounts and a user of our own
    Path("/proc/self/setgroups").write_text("deny")
    for kind, number in zip("ug", ids, strict=True):
        Path(f"/proc/self/{kind}id_map").write_text(f"0 {number} 1")
    assert c.mount(b"tiny", bytes(place), b"tmpfs", 0, b"size=800k") == 0, os.strerror(ctypes.get_errno())
    shutil.copytree(store / "runs", place / "runs")
    if read_only:
        assert c.mount(b"", bytes(place), b"", 0x21, b"") == 0, os.strerror(ctypes.get_errno())
    else:
        with contextlib.suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
            while file.write(b"0" * 4096):
                pass
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (tables)


UNSHARED = subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0
DISKS = {  # command -> its lines where the disk is full, and where it is read-only
    "report": (["report/digits-cpu-mlp.md: No space left"], ["report: Read-only file system"]),
    "figures vi_gan": (["cannot be written: [Errno 28]"] * 6 + ["a run has failed"], ["Read-only file system"]),
    "status": ([], []),
    "check": ([], ["cannot be written"]),
    "sync": (["1 runs to sync, but no W&B key"], ["1 runs to sync, but no W&B key"]),
    "-m optimizer=adam seed=1,2": (["cannot be written: [Errno 28]"] * 2, ["Read-only file system"]),
}


@pytest.mark.skipif(not UNSHARED, reason="needs unshare -Urm, to mount a tiny disk")
@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
@pytest.mark.parametrize("arguments", DISKS)
def test_a_disk_that_takes_nothing(arguments: str, read_only: bool, store: Path, tmp_path: Path) -> None:
    disk, expected = tmp_path / "disk", DISKS[arguments][read_only]
    disk.mkdir()
    keys = [f"results_dir={disk}", *(DIGITS if arguments.startswith("-m") else ())]
    prepare = partial(tiny_disk, disk, store, read_only)
    status, said = told([*arguments.split(), *keys], tmp_path / "output", prepare, HOME=str(disk))
    assert len(said) == len(expected), said
    assert all(line.startswith("lookahead-bench: ") and words in line
               for line, words in zip(said, expected, strict=True)), said  # fmt: skip
    assert status == bool(expected)


def no_streams(*numbers: int) -> None:
    """Close these, as the shell's `>&-` does before Python starts."""
    for number in numbers:
        with contextlib.suppress(OSError):
            os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)


def full(name: str) -> None:
    setattr(sys, name, open("/dev/full", "w"))  # noqa: SIM115


def nobody_reads() -> None:
    """The other end of the pipe is closed, as `| head -1` closes it; it is never written into successfully."""
    reading, writing = os.pipe()
    os.close(reading)
    sys.stdout = open(writing, "w")  # noqa: SIM115


STREAMS: dict[str, tuple[Callable[[], None], int, str]] = {  # -> status and line; of a sweep, which goes on
    ">/dev/full": (partial(full, "stdout"), 1, "lookahead-bench: the output: No space left on device"),
    "2>/dev/full": (partial(full, "stderr"), 0, ""),
    ">&-": (partial(no_streams, 1), 0, ""),
    "2>&-": (partial(no_streams, 2), 0, ""),
    "<&-": (partial(no_streams, 0), 0, ""),
    ">&- 2>&- <&-": (partial(no_streams, 0, 1, 2), 0, ""),
    "| head": (nobody_reads, 0, ""),
}


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("arguments", ["report", "list", "--help"])
def test_streams_that_take_nothing(arguments: str, streams: str, store: Path, tmp_path: Path) -> None:
    prepare, expected, line = STREAMS[streams]
    shutil.copytree(store, tmp_path / "store")
    place = [f"results_dir={tmp_path}/store"] if arguments == "report" else []
    status, said = told([arguments, *place], tmp_path / "output", prepare)
    assert status == expected
    assert (said == [line]) if line else "Traceback" not in "".join(said)
    if arguments == "report" and not line:
        assert (tmp_path / "store" / "report" / "digits-cpu-mlp.png").exists()


@pytest.mark.long
@pytest.mark.parametrize("streams", STREAMS)
def test_a_sweep_goes_on_when_nobody_listens(streams: str, tmp_path: Path) -> None:
    prepare, _, line = STREAMS[streams]
    status, said = told([*SWEEP, f"results_dir={tmp_path}"], tmp_path / "output", prepare)
    assert status == 0
    assert [one for one in said if one.startswith("lookahead-bench:")] == ([f"{line}; the runs go on"] if line else [])
    frame = load_results(tmp_path)
    assert frame.groupby("run_id")["status"].first().tolist() == ["done"] * 3
    for path in tmp_path.glob("runs/*/run.lock"):  # which nobody has printed into
        assert re.fullmatch(r"pid \d+ on \S+ since \S+ \S+\n", path.read_text())


COMMAND = [sys.executable, "-m", "lookahead_bench"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


@pytest.mark.parametrize(("arguments", "code", "said"), [("report", 0, "seeds +- 95 %"), ("list", 0, "optimizer="),
                                                         ("optimizer.name=ü", 2, "optimizer.name=")])  # fmt: skip
def test_a_terminal_of_ascii(arguments: str, code: int, said: str, store: Path) -> None:
    place = [f"results_dir={store}"] if arguments == "report" else []
    done = subprocess.run([*COMMAND, arguments, *place], capture_output=True, env=os.environ | ASCII, timeout=120)
    assert done.returncode == code
    assert said in (done.stdout + done.stderr).decode("ascii")
    assert done.stderr.count(b"\n") == (code > 0)


@pytest.mark.parametrize("name", ["[/bold]", "[red]", ":smile:", "%s{}", "a b"])
def test_a_path_is_shown_as_it_is(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / name
    assert command(["optimizer=sgd", *DIGITS, f"results_dir='{place}'"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"files: {place}/runs/")
    assert command(["report", f"results_dir={place}"]) == 0
    assert f"{place}/report/digits-cpu-mlp.md" in capsys.readouterr().out
    assert command(["status", f"results_dir={place}/nothing"]) == 0
    assert f"no runs in {place}/nothing" in capsys.readouterr().out


LONG = "a" * 256


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*DIGITS, f"optimizer.name={LONG}"], 2, "must be a name of at most 100"),
        ([*DIGITS, f"study={LONG}"], 2, "names of at most 100"),
        ([*DIGITS, f"results_dir={LONG}"], 1, "cannot be written: [Errno 36]"),
        *(([name, f"results_dir={LONG}"], 1, "File name too long") for name in ("report", "status", "check", "sync")),
        (["figures", "vi_gan", f"results_dir={LONG}"], 1, "File name too long"),
        (["data", "mnist", f"data_dir={LONG}"], 1, "File name too long"),
    ],
    ids=lambda value: value[0][:10] if isinstance(value, list) else "",
)
def test_names_that_are_too_long(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.control
def test_the_longest_names_are_possible(tmp_path: Path) -> None:
    names = [f"{key}={'a' * 100}" for key in ("optimizer.name", "study")]
    assert command([*DIGITS, *names, f"results_dir={tmp_path}", "seed=4294967295"]) == 0
    assert command(["report", f"results_dir={tmp_path}"]) == 0


@pytest.mark.parametrize("place", [CONF, CONF / "optimizer", PACKAGE, PACKAGE / "new"], ids=lambda place: place.name)
@pytest.mark.parametrize("key", ["results_dir", "data_dir"])
def test_nothing_is_written_into_the_program(
    key: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(place)
    for named in (place, os.path.relpath(place), tmp_path / "link"):
        assert command([*DIGITS, f"{key}={named}"]) == 2
        assert capsys.readouterr().err.endswith(
            f"{key}={named}: is part of lookahead-bench itself; name another directory\n"
        )


def test_what_is_unforeseen_is_one_line_and_a_file(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lookahead_bench.report import report

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(report, "outcomes", lambda runs: runs["no such\ncolumn"])
    assert command(["report", f"results_dir={store}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    found = re.fullmatch(r"lookahead-bench: KeyError: .*no such.*; the traceback is in (\S+)\)", line)
    assert found, line
    assert "in write" in Path(found[1]).read_text()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert command(["report", f"results_dir={store}"]) == 1
    assert "its traceback could not be kept: [Errno 2]" in capsys.readouterr().err


@pytest.mark.long
def test_a_killed_worker_takes_no_other_job_with_it(tmp_path: Path) -> None:
    """Of four jobs on two workers, two kill their process whenever they are tried; the others are done."""
    base = "optimizer.base._target_=fault_optimizers.Dies,torch.optim.SGD"
    sweep = ["-m", base, "seed=1,2", "optimizer=sgd", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *DIGITS]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [*COMMAND, *sweep, f"results_dir={tmp_path}"], env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    assert "a worker process was killed" in lines[0]
    assert sum("its process was killed again" in line for line in lines) == 2, lines
    assert done.stdout.splitlines()[-1] == "4 runs: 2 done, 2 interrupted"
    assert done.returncode == 1
    assert set(load_results(tmp_path).query("status == 'done'")["seed"]) == {1, 2}

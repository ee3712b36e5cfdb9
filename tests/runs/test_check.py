"""`check` names each fault of a store, mends what it says it mends, and is content afterwards."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import DIGITS, assert_same_run, kill, start, steps_saved, wait_for

from lookahead_bench import load_results, run
from lookahead_bench.errors import RunError
from lookahead_bench.runs.check import check
from lookahead_bench.runs.checkpoint import generations
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.run import RunResult

pytestmark = pytest.mark.fault("damage")

RUN = ["optimizer=lookahead", *DIGITS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, f"results_dir={tmp_path_factory.mktemp('whole')}"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed")
    process = start([*RUN, f"results_dir={path}"], path / "output")
    wait_for(lambda: steps_saved(path) > 4)
    kill(process, path)
    check(str(path))  # it was killed at any moment
    return next(path.glob("runs/*"))


def copy(directory: Path, place: Path) -> Path:
    shutil.copytree(directory.parent.parent, place, dirs_exist_ok=True)
    return place / "runs" / directory.name


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.control
def test_sound_stores(whole: RunResult, killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for directory in (whole.path, killed):
        capsys.readouterr()
        assert check(str(directory.parent.parent)) == 0
        assert capsys.readouterr().out == "1 runs checked, 1 sound, 0 mended, 0 damaged\n"
    with pytest.raises(RunError, match="has no runs to check"):
        check("nowhere")


@pytest.mark.control
def test_the_committed_runs_of_before_the_digests_are_sound(tmp_path: Path) -> None:
    committed = Path(__file__).resolve().parents[2] / "results" / "studies" / "cifar_cpu"
    shutil.copytree(committed, tmp_path, dirs_exist_ok=True)
    assert check(str(tmp_path)) == 0


MENDED: dict[str, tuple[bool, Callable[[Path], object]]] = {  # of a finished run, or of a killed one
    "half a file": (False, lambda d: (d / "checkpoints" / ".step-9.pt.1.part").write_bytes(b"half")),
    "removed; the one before": (False, lambda d: os.truncate(generations(d / "checkpoints")[-1], 100)),
    "cut off": (False, lambda d: append(d / "metrics.jsonl", '{"step": 3, "spl')),
    "cut off after": (True, lambda d: append(d / "metrics.jsonl", '{"step": 3, "split": "val", "weights": "fast"}\n')),
    "said running": (False, lambda d: edit(d / "run.json", status="running")),
    "was damaged": (False, lambda d: (d / "run.json").write_text('{"sta')),
}


@pytest.mark.parametrize("said", MENDED)
def test_what_is_mended(
    said: str, whole: RunResult, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished, spoil = MENDED[said]
    directory = copy(whole.path if finished else killed, tmp_path)
    spoil(directory)
    assert check(str(tmp_path)) == 0
    line, total = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{directory}: ")
    assert said in line
    assert total == "1 runs checked, 0 sound, 1 mended, 0 damaged"
    assert check(str(tmp_path)) == 0
    assert "1 sound" in capsys.readouterr().out
    if finished:
        assert len(load_results(tmp_path)) == len(load_results(whole.path.parent.parent))
    assert_same_run(whole, run([*RUN, f"results_dir={tmp_path}"]))


DAMAGED: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "its metrics.jsonl is not the one": (True, lambda d: os.truncate(d / "metrics.jsonl", 300)),
    "config.yaml is missing": (True, lambda d: (d / "config.yaml").unlink()),
    "config.yaml has the id": (True, lambda d: (d / "config.yaml").write_text(
        (d / "config.yaml").read_text().replace("max_steps: 30", "max_steps: 31"))),
    "a damaged row": (False, lambda d: (d / "metrics.jsonl").write_text(
        (d / "metrics.jsonl").read_text().replace('"weights": "fast"', "", 1))),
    "best.pt is damaged": (True, lambda d: os.truncate(d / "checkpoints" / "best.pt", 100)),
}  # fmt: skip


@pytest.mark.parametrize("said", DAMAGED)
def test_what_stays_damaged(
    said: str, whole: RunResult, killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished, spoil = DAMAGED[said]
    directory = copy(whole.path if finished else killed, tmp_path)
    spoil(directory)
    assert check(str(tmp_path)) == 1
    line, total = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{directory}: ")
    assert said in line
    assert total == "1 runs checked, 0 sound, 0 mended, 1 damaged"


def test_a_copy_and_a_run_that_is_being_done(
    whole: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = copy(whole.path, tmp_path)
    other = Path(shutil.copytree(directory, f"{directory}-copy"))
    held = Lock(directory / "run.lock")
    held.acquire()
    assert check(str(tmp_path)) == 1
    held.release()
    first, second, total = capsys.readouterr().out.splitlines()
    assert f"is held by pid {os.getpid()}" in first
    assert second == f"{other}: it is a copy of {directory.name}; remove it"
    assert total == "1 runs checked, 0 sound, 0 mended, 1 damaged"

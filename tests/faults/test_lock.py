"""One process owns a run; another one is told who, and a dead owner holds nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_runs import DIGITS, kill, start, steps_saved, wait_for

from lookahead_bench import load_results, run
from lookahead_bench.cli import command
from lookahead_bench.errors import RunError
from lookahead_bench.runs.lock import Lock

SLEEPS = ["optimizer=sgd", "optimizer.base._target_=fault_optimizers.Sleeps", *DIGITS]


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*SLEEPS, f"results_dir={tmp_path}"]
    process = start(overrides, tmp_path / "output")
    try:
        wait_for(lambda: steps_saved(tmp_path) == 4)
        assert command(overrides) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"pid {process.pid} on {os.uname().nodename}" in line
        assert command([*overrides, "force=true"]) == 1
        assert set(load_results(tmp_path)["status"]) == {"running"}
        assert command(["status", f"results_dir={tmp_path}"]) == 0
        assert "1 running" in capsys.readouterr().out
    finally:
        kill(process, tmp_path)
    assert set(load_results(tmp_path)["status"]) == {"interrupted"}
    assert command(["status", f"results_dir={tmp_path}"]) == 0
    assert "1 interrupted" in capsys.readouterr().out


def test_of_many_at_once_one_runs_and_the_others_say_so_or_find_it_done(tmp_path: Path) -> None:
    overrides = ["optimizer=sgd", *DIGITS, f"results_dir={tmp_path}/results"]
    processes = [start(overrides, tmp_path / f"output{i}") for i in range(5)]
    for process in processes:
        process.join(60)
    outputs = [(tmp_path / f"output{i}").read_text() for i in range(5)]
    for process, output in zip(processes, outputs, strict=True):
        assert process.exitcode == (1 if "is held by" in output else 0), output
    assert 0 in [process.exitcode for process in processes]
    (path,) = (tmp_path / "results" / "runs").iterdir()
    result = run(overrides)
    assert (result.path, result.status, result.skipped) == (path, "done", True)
    frame = load_results(tmp_path / "results")
    assert len(frame[(frame["step"] == 0) & (frame["split"] == "val")]) == 1


def test_a_lock_is_exclusive_until_it_is_released(tmp_path: Path) -> None:
    one, other = Lock(tmp_path / "run.lock"), Lock(tmp_path / "run.lock")
    assert not one.held_by_another()
    one.acquire()
    assert other.held_by_another()
    with pytest.raises(RunError, match=f"held by pid {os.getpid()}"):
        other.acquire()
    one.release()
    assert not other.held_by_another()
    other.acquire()
    other.release()
    other.release()


def test_a_lock_file_of_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("pid 1 on elsewhere since yesterday, at some length\n")
    lock = Lock(tmp_path / "run.lock")
    lock.acquire()
    assert (tmp_path / "run.lock").read_text().startswith(f"pid {os.getpid()} ")
    assert (tmp_path / "run.lock").read_text().count("\n") == 1
    lock.release()

"""One process owns a run; another one waits for it or is told who, and a dead owner holds nothing."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from tiny_runs import DIGITS, assert_same_run, kill, rows, start, steps_saved, wait_for

from lookahead_bench import configuration, load_results, run
from lookahead_bench.cli import command
from lookahead_bench.errors import Held
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.run import execute

pytestmark = pytest.mark.fault("concurrency")

RUN = ["optimizer=la_eg", *DIGITS]
SLEEPS = ["optimizer=sgd", "optimizer.base._target_=fault_optimizers.Sleeps", *DIGITS]


def test_a_held_run_is_waited_for_and_gone_on_with_when_its_holder_dies(tmp_path: Path) -> None:
    overrides = [*RUN, f"results_dir={tmp_path}/results"]
    holder = start(overrides, tmp_path / "holder", prepare=partial(slowly, 0.2))
    wait_for(lambda: steps_saved(tmp_path / "results") > 4)
    waiter = start(overrides, tmp_path / "waiter")
    wait_for(lambda: waits(tmp_path / "waiter"))
    time.sleep(1.0)  # some more looks at the lock
    holder.kill()
    waiter.join(60)
    (line, *said) = (tmp_path / "waiter").read_text().splitlines()
    assert f"is held by pid {holder.pid} on {os.uname().nodename}" in line
    assert not any("is held by" in other for other in said)
    assert waiter.exitcode == 0, said
    assert_same_run(run([*RUN, f"results_dir={tmp_path}/whole"]), run(overrides))


def waits(output: Path) -> bool:
    return output.exists() and "waiting" in output.read_text()


def slowly(seconds: float) -> None:
    """Every step takes so much longer."""
    from lookahead_bench.trainer import Trainer

    step = Trainer.take_step

    def slow(self: Trainer) -> None:
        time.sleep(seconds)
        step(self)

    Trainer.take_step = slow  # type: ignore[method-assign]


def test_who_does_not_wait_is_told_who_holds_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*SLEEPS, f"results_dir={tmp_path}"]
    process = start(overrides, tmp_path / "output")
    try:
        wait_for(lambda: steps_saved(tmp_path) == 4)
        for settings in (configuration.load(overrides), configuration.load([*overrides, "force=true"])):
            with pytest.raises(Held, match=f"held by pid {process.pid} on {os.uname().nodename}"):
                execute(settings, wait=False)
        assert set(load_results(tmp_path)["status"]) == {"running"}
        assert command(["status", f"results_dir={tmp_path}"]) == 0
        assert "1 running" in capsys.readouterr().out
    finally:
        kill(process, tmp_path)
    assert set(load_results(tmp_path)["status"]) == {"interrupted"}
    assert command(["status", f"results_dir={tmp_path}"]) == 0
    assert "1 interrupted" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_waiting(name: str, tmp_path: Path) -> None:
    overrides = [*SLEEPS, f"results_dir={tmp_path}"]
    holder = start(overrides, tmp_path / "holder")
    try:
        wait_for(lambda: steps_saved(tmp_path) == 4)
        waiter = start(overrides, tmp_path / "waiter")
        wait_for(lambda: waits(tmp_path / "waiter"))
        os.kill(waiter.pid, getattr(signal, name))
        waiter.join(5)
        assert waiter.exitcode == 128 + getattr(signal, name)
        assert holder.exitcode is None
    finally:
        kill(holder, tmp_path)


@pytest.mark.parametrize("task", [["optimizer=sgd", *DIGITS], ["dataset=quadratic", "max_steps=5", "tracker=none"]])
def test_of_many_at_once_one_runs_and_all_report_it(task: list[str], tmp_path: Path) -> None:
    overrides = [*task, f"results_dir={tmp_path}/results"]
    processes = [start(overrides, tmp_path / f"output{i}") for i in range(8)]
    for process in processes:
        process.join(60)
    outputs = [(tmp_path / f"output{i}").read_text() for i in range(8)]
    assert [process.exitcode for process in processes] == [0] * 8, outputs
    assert sum("finished before" not in output for output in outputs) == 1, outputs
    (path,) = (tmp_path / "results" / "runs").iterdir()
    result = run(overrides)
    assert (result.path, result.status, result.skipped) == (path, "done", True)
    places = [(row["step"], row["split"], row["weights"]) for row in rows(path)]
    assert len(set(places)) == len(places)
    assert all(path.name in output for output in outputs)


def test_overlapping_replicas_wait_for_each_other_without_a_deadlock(tmp_path: Path) -> None:
    common = ["optimizer=sgd", *DIGITS, "replicas=3", f"results_dir={tmp_path}/results"]
    processes = [
        start([*common, f"seed={seed}"], tmp_path / f"output{seed}", prepare=partial(slowly, 0.03))
        for seed in (1, 3, 2)
    ]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 3, (tmp_path / "output1").read_text()
    assert len(list((tmp_path / "results" / "runs").iterdir())) == 5
    assert set(load_results(tmp_path / "results")["status"]) == {"done"}


def test_a_writer_whose_directory_was_begun_again_stops(tmp_path: Path) -> None:
    overrides = [*RUN, f"results_dir={tmp_path}/results"]
    first = start(overrides, tmp_path / "first", prepare=partial(slowly, 0.2))
    wait_for(lambda: steps_saved(tmp_path / "results") > 4)
    (path,) = (tmp_path / "results" / "runs").iterdir()
    path.rename(tmp_path / "gone")
    again = run(overrides)
    first.join(20)
    assert first.exitcode == 1
    (line,) = (tmp_path / "first").read_text().splitlines()
    assert line == f"lookahead-bench: {path}: was removed or begun again by somebody else; this process stops"
    assert_same_run(run([*RUN, f"results_dir={tmp_path}/whole"]), again)


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*RUN, f"results_dir={tmp_path}/results"]
    path = run(overrides).path
    (tmp_path / "precious").write_text("mine")
    (path / "run.lock").unlink()
    (path / "run.lock").symlink_to(tmp_path / "precious")
    assert command([*overrides, "force=true"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}/run.lock: is a link" in line
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.control
def test_a_lock_is_exclusive_until_it_is_released(tmp_path: Path) -> None:
    one, other = Lock(tmp_path / "run.lock"), Lock(tmp_path / "run.lock")
    assert not one.held_by_another()
    one.acquire()
    assert other.held_by_another()
    with pytest.raises(Held, match=f"held by pid {os.getpid()}"):
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

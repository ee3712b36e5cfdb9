"""A signal ends a run in good order, with its state saved; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from tiny_runs import DIGITS, assert_same_run, rows, start, steps_saved, wait_for

from lookahead_bench import run
from lookahead_bench.cli import command
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.lock import Lock

pytestmark = pytest.mark.fault("signals")

RUN = ["optimizer=multilayer", *DIGITS]
SLEEPS = ["optimizer=sgd", "optimizer.base._target_=fault_optimizers.Sleeps", *DIGITS]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_interrupts_and_the_same_command_resumes(name: str, tmp_path: Path) -> None:
    number = int(getattr(signal, name))
    overrides = [*RUN, f"results_dir={tmp_path}/stopped"]
    process = start(overrides, tmp_path / "output")
    wait_for(lambda: steps_saved(tmp_path / "stopped") > 3)
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == 128 + number
    lines = (tmp_path / "output").read_text().splitlines()
    assert len(lines) == 1
    assert name in lines[0]
    (record,) = (tmp_path / "stopped").glob("runs/*/run.json")
    assert read_json(record)["status"] == "interrupted"  # type: ignore[index]
    assert_same_run(run([*RUN, f"results_dir={tmp_path}/whole"]), run(overrides))


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = start([*SLEEPS, f"results_dir={tmp_path}"], tmp_path / "output")
    wait_for(lambda: steps_saved(tmp_path) == 4)  # it sleeps for a minute now
    for number in (signal.SIGINT, signal.SIGTERM):
        time.sleep(0.3)
        assert process.exitcode is None
        os.kill(process.pid, number)
    process.join(10)
    assert process.exitcode == 128 + signal.SIGTERM


def test_a_signal_before_the_first_step_leaves_no_double_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookahead_bench.trainer import Trainer

    overrides = [*RUN, f"results_dir={tmp_path}/stopped"]
    scores = Trainer.evaluate

    def and_a_signal(self: Trainer, **kwargs: bool) -> None:
        scores(self, **kwargs)
        os.kill(os.getpid(), signal.SIGUSR1)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "evaluate", and_a_signal)
        assert command(overrides) == 128 + signal.SIGUSR1
    resumed = run(overrides)
    assert [row["step"] for row in rows(resumed.path)].count(0) == 4  # val and test, fast and slow
    assert_same_run(run([*RUN, f"results_dir={tmp_path}/whole"]), resumed)


def test_a_signal_in_the_last_evaluation_ends_the_sweep_after_a_run_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookahead_bench.trainer import Trainer

    scores = Trainer.evaluate

    def and_a_signal(self: Trainer, **kwargs: bool) -> None:
        scores(self, **kwargs)
        if self.step == 30:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "evaluate", and_a_signal)
    assert command(["-m", "seed=1,2", *RUN, f"results_dir={tmp_path}"]) == 128 + signal.SIGTERM
    (record,) = tmp_path.glob("runs/*/run.json")
    assert read_json(record)["status"] == "done"  # type: ignore[index]


@pytest.mark.control
def test_the_handlers_are_put_back(tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)]
    run([*RUN, "max_steps=1", f"results_dir={tmp_path}"])
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)] == before


def requeue_on_sigusr2(results: Path) -> None:
    """A launcher's handler, there before the run: it asks for the job again, and ends this one."""

    def handler(number: int, frame: object) -> None:
        (record,) = results.glob("runs/*/run.json")
        held = Lock(record.parent / "run.lock").held_by_another()
        (results / "requeued").write_text(f"{number} {read_json(record)['status']} {held}")  # type: ignore[index]
        raise SystemExit(7)

    signal.signal(signal.SIGUSR2, handler)


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGTERM"])
def test_an_earlier_handler_is_called_once_the_run_is_saved_and_let_go(name: str, tmp_path: Path) -> None:
    number = int(getattr(signal, name))
    process = start(
        [*RUN, f"results_dir={tmp_path}"], tmp_path / "output", prepare=partial(requeue_on_sigusr2, tmp_path)
    )
    wait_for(lambda: steps_saved(tmp_path) > 3)
    os.kill(process.pid, number)
    process.join(30)
    if name == "SIGUSR2":
        assert (tmp_path / "requeued").read_text() == f"{number} interrupted False"
        assert process.exitcode == 7
    else:  # which had the handler that every process has
        assert not (tmp_path / "requeued").exists()
        assert process.exitcode == 128 + number

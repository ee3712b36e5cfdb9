"""A few steps of a run, timed where they will be done; nothing of it is kept but the pace."""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from lookahead_bench.bench.measure import clock
from lookahead_bench.build import resolve
from lookahead_bench.configuration import Config
from lookahead_bench.cost import Pace
from lookahead_bench.data import fetch
from lookahead_bench.oracle import Diverged
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory

SECONDS = 3.0  # of steps
STEPS = 200  # at most
PATIENCE = 20.0  # seconds for an evaluation, which counts as so long where it would take longer


def timed(config: Config) -> Pace:
    """The pace of this run, by its first steps in a scratch directory. Errors: DataError without its data."""
    fetch.within_reach(config.data, config["data_dir"], fetch.PATIENCE)
    with tempfile.TemporaryDirectory() as scratch, quiet():
        config = replace(config, nodes={**config.nodes, "results_dir": scratch})
        runs = [RunDirectory(one) for one in config.seeds()]
        for one in runs:
            one.path.mkdir(parents=True)
        begun = clock()
        session = Session(resolve(config), [(one, None) for one in runs])
        trainer = session.build()
        marks = [begun]
        with contextlib.suppress(Diverged):
            while len(marks) < STEPS and marks[-1] - marks[min(1, len(marks) - 1)] < SECONDS:
                trainer.take_step()
                trainer.record_step()
                marks.append(clock())
                if trainer.finished():
                    break
        steps = max(1, len(marks) - 1)
        # The first step prepares, and may compile; a run of one step has no other.
        step = (marks[-1] - marks[1]) / (steps - 1) if steps > 1 else marks[-1] - begun
        session.recorder.flush()
        rows = sum(one.metrics_path.stat().st_size for one in runs if one.metrics_path.exists())
        scoring = clock()
        with within(PATIENCE):
            trainer.evaluate(final=False)
        evaluation = clock() - scoring
        trainer.save()
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*.pt"))
        return Pace(
            step, evaluation, marks[min(1, steps)] - begun, trainer.oracle.calls / steps, trainer.epoch() / steps,
            2 * size / len(runs), rows / steps / len(runs), "timed",
        )  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the notices that the run itself will give."""
    log = logging.getLogger("lookahead_bench")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up what takes longer; only the main thread can."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with contextlib.suppress(TimeoutError):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""A sweep over processes of this machine, which a signal ends in good order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

from lookahead_bench.errors import InterruptedBySignal
from lookahead_bench.runs.signals import CAUGHT
from lookahead_bench.runs.store import RunDirectory

if TYPE_CHECKING:
    from lookahead_bench.doing import Doer

PATIENCE = 60.0  # seconds for the workers to save their runs


@contextlib.contextmanager
def signals_passed_on(doer: Doer) -> Iterator[None]:
    """The first signal goes on to the workers, and is raised here when they have saved; a second one ends all at once.

    joblib by itself kills its workers in the middle of that.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in CAUGHT:
            signal.signal(each, lambda again, _: os._exit(128 + again))
        workers = [process.pid for process in multiprocessing.active_children()]
        for pid in filter(None, workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        locks = [RunDirectory(one).lock for config in doer.planned.values() for one in config.seeds()]
        ours = tuple(f"pid {pid} on " for pid in workers)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and any(
            lock.holder().startswith(ours) and lock.held_by_another() for lock in locks
        ):
            time.sleep(0.05)
        raise InterruptedBySignal("the sweep", number)

    earlier = {number: signal.signal(number, stop) for number in CAUGHT}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

"""SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 end a run in good order; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from lookahead_bench.errors import InterruptedBySignal

CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
ECHO = 0.2  # seconds: a terminal signals a sweep and its workers, and the sweep its workers


class StopSignals:
    """While entered, the first signal is only remembered in `received`; whoever is at work looks there and ends.

    The handlers of before are put back in the end. The one whose signal came is then called, as if it came now: a
    launcher's asks for the job to be queued again, which it may do once the run is saved and its lock let go.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._at = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python cannot install handlers
            for number in CAUGHT:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler or signal.SIG_DFL)
        failed = error is not None and not isinstance(error, InterruptedBySignal)
        earlier = None if self.received is None or failed else self._previous[self.received]
        if callable(earlier) and earlier is not signal.default_int_handler:
            earlier(self.received, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._at = number, time.monotonic()
        elif number != self.received or time.monotonic() > self._at + ECHO:
            os._exit(128 + number)


_between_runs: list[int] = []


def stopped_between_runs() -> int | None:
    """The signal by which this process, a worker of a sweep, is to begin no further run; None: it may.

    From the first call on such a signal ends no worker where it stands: its launcher would take that for an accident.
    Where somebody has a handler of his own (submitit, Ray), he keeps it.
    """
    if threading.current_thread() is threading.main_thread():
        for number in CAUGHT:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, lambda number, frame: _between_runs.append(number))
    return _between_runs[0] if _between_runs else None

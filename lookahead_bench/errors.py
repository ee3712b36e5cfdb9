"""Errors that are a user's to mend: each is shown as one line, without a traceback."""

from __future__ import annotations

import signal


class ConfigError(ValueError):
    """A wrong configuration: key, value, rule, remedy. The command exits 2."""


class DataError(RuntimeError):
    """Data that is missing or damaged: what to put where. The command exits 1."""


class RunError(RuntimeError):
    """A run that cannot be had as it stands: damaged, or no longer ours. The command exits 1."""


class Held(RunError):
    """A run that another process is doing. It is waited for, or passed over in a sweep."""


class InterruptedBySignal(KeyboardInterrupt):
    """The run was asked to stop; it is saved, and the same command resumes it. The command exits 128 + number."""

    def __init__(self, run_id: str, number: int) -> None:
        super().__init__(f"{run_id}: interrupted by {signal.Signals(number).name}; the same command resumes it")
        self.run_id, self.number = run_id, number

    def __reduce__(self) -> tuple[type[InterruptedBySignal], tuple[str, int]]:  # it comes from another process
        return type(self), (self.run_id, self.number)

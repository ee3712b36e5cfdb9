"""What has become of runs since a moment, told from their records."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.store import RunDirectory


def now(directory: Path) -> int:
    """The time in ns by the clock that stamps files there: that of a file server need not be this machine's."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:  # where nothing can be written there is no news either
        return sys.maxsize


def news(one: RunDirectory, since: int, statuses: tuple[str, ...]) -> dict[str, Any] | None:
    """A run's record, where it was written after `since` and tells of one of these ends."""
    try:
        if os.stat(one.path / "run.json").st_mtime_ns <= since:
            return None
    except OSError:
        return None
    record = read_json(one.path / "run.json") or {}
    return record if record.get("status") in statuses else None


def failure(runs: Iterable[RunDirectory], since: int) -> str | None:
    """Why one of these runs has failed since then, in a line; None where none has."""
    for one in runs:
        record = news(one, since, ("failed",))
        if record is not None:
            error = str(record.get("error"))
            return failed(one.config.run_id, error, one.path) if "traceback" in record else error
    return None


def failed(run_id: str, error: str, path: Path | None) -> str:
    """The line for a run that has failed unforeseen. path: of its directory, where its traceback is kept."""
    where = f" (the traceback is in {path / 'run.json'})" if path else ""
    return f"{run_id} failed: {' '.join(error.split())[:300]}{where}"

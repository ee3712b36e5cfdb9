"""What a run is doing, from its files alone: who has it, how far it is, how long it has left. No torch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookahead_bench.configuration.rules import BUDGETS
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.store import FINISHED, stored_config

POSITIONS = ("epoch", "step", "oracle_calls")  # of a row, in the order of BUDGETS
TAIL = 1 << 16  # bytes that hold the last row, whatever it is


@dataclass(frozen=True)
class State:
    """A run as its files tell of it.

    status    done | diverged | failed | interrupted | running, or held: another process has it, and has not begun
    record    run.json
    owner     "pid N on HOST since ..." of who has it now; empty otherwise
    progress  the share of its budget that is used up, as of the last rows written; 0 before the first
    left      seconds to its end at the pace so far; None where that cannot be told, or nobody has it
    """

    status: str
    record: Mapping[str, Any]
    owner: str = ""
    progress: float = 0.0
    left: float | None = None

    @classmethod
    def of(cls, directory: Path) -> State:
        record = read_json(directory / "run.json") or {}
        status, lock = record.get("status"), Lock(directory / "run.lock")
        if status in FINISHED:
            return cls(status, record, progress=1.0)
        row = last_row(directory)
        progress = share(directory, row)
        if not lock.held_by_another():
            return cls("failed" if status == "failed" else "interrupted", record, progress=progress)
        if status != "running":
            return cls("held", record, lock.holder(), progress)
        return cls(status, record, lock.holder(), progress, time_left(directory, row, progress))


def last_row(directory: Path) -> dict[str, Any]:
    """The last whole row of metrics.jsonl, without reading the others; empty where there is none."""
    try:
        with (directory / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            return row
    return {}


def share(directory: Path, row: Mapping[str, Any]) -> float:
    """The largest part used up of the budgets that are set, as the trainer reckons."""
    config = stored_config(directory) if row else None
    used = [
        row.get(position, 0) / config[key]
        for position, key in zip(POSITIONS, BUDGETS, strict=True)
        if config and config.get(key)
    ]
    return min(1.0, max(used, default=0.0))


def time_left(directory: Path, row: Mapping[str, Any], progress: float) -> float | None:
    """Seconds, if it goes on as before: at the pace of this life, with its scores and checkpoints; of a resumed run at
    that of its training, where that is slower."""
    if progress <= 0:
        return None
    written, begun = (os.stat(directory / name).st_mtime for name in ("metrics.jsonl", "config.yaml"))
    spent = max(float(row.get("seconds", 0.0)), written - begun)
    return max(0.0, spent * (1 - progress) / progress - (time.time() - written))


def words(seconds: float) -> str:
    """A duration as people say it: 40 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"

"""Checkpoints that are whole or ignored: two generations and the best, a sha256 beside each, plain data only."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from lookahead_bench.runs.files import write_all

log = logging.getLogger("lookahead_bench")
KEEP = 2  # the newest may be the one that a crash has spoilt


def save(states: Mapping[Path, dict[str, Any]]) -> None:
    """Write each state and its digest; a crash between the two leaves a file that `load` ignores."""
    files = []
    for path, state in states.items():
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        path.parent.mkdir(exist_ok=True)
        digest_file(path).unlink(missing_ok=True)
        files += [(path, data), (digest_file(path), f"{hashlib.sha256(data).hexdigest()}  {path.name}\n".encode())]
    write_all(files)


def digest_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def load(path: Path) -> dict[str, Any] | None:
    """The state in `path`, or None if the file is missing, torn, altered, or holds anything but plain data."""
    try:
        data = path.read_bytes()
        if digest_file(path).read_text().split()[0] != hashlib.sha256(data).hexdigest():
            return None
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for a damaged or refused file, and all mean: not this one
        return None
    return state if isinstance(state, dict) else None


def generations(directory: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(directory.glob("step-*.pt"))


def save_generation(states: Mapping[Path, dict[str, Any]], step: int) -> None:
    """Save the state after `step` steps of each directory; drop what is older than its last two generations."""
    save({directory / f"step-{step:010d}.pt": state for directory, state in states.items()})
    for directory in states:
        drop(generations(directory)[:-KEEP])


def drop_newer(directory: Path, step: int) -> None:
    """Forget the states after `step`, from which a run has gone back: the rows that they count on are gone."""
    drop([path for path in generations(directory) if path.name > f"step-{step:010d}.pt"])


def drop(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        digest_file(path).unlink(missing_ok=True)


def newest_first(directory: Path) -> Iterator[dict[str, Any]]:
    """The sound states, newest first; a damaged one is passed over with one warning that names it."""
    for path in reversed(generations(directory)):
        state = load(path)
        if state is not None:
            yield state
        else:
            log.warning("%s is damaged; going back to the checkpoint before it", path)


def load_newest(directory: Path) -> dict[str, Any] | None:
    return next(newest_first(directory), None)

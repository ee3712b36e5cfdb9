"""The directory that a run leaves behind: config.yaml, run.json, metrics.jsonl, checkpoints/, samples/."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import yaml

from lookahead_bench.configuration import Config
from lookahead_bench.configuration.identity import canonical
from lookahead_bench.errors import RunError
from lookahead_bench.runs.files import content, json_bytes, read_json, write_all
from lookahead_bench.runs.lock import Lock

log = logging.getLogger("lookahead_bench")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FINISHED = ("done", "diverged")
RESULT = {"metric", "direction", "final", "best", "step", "oracle_calls", "samples", "seconds"}  # of a finished run
STATUSES = ("running", "interrupted", "failed", *FINISHED)


class RunDirectory:
    """One run's directory. What it holds is true at every instant, kill -9 included."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.path = Path(config["results_dir"]) / "runs" / config.run_id
        self.metrics_path = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.lock = Lock(self.path / "run.lock")
        self._lines: list[str] = []
        self._length, self._digest = 0, hashlib.sha256()  # of the rows in the file, as this owner knows them

    @property
    def digest(self) -> str:
        """The hash that the run's name ends in."""
        return self.path.name.rpartition("-")[2]

    def record(self) -> dict[str, Any] | None:
        """run.json as it stands, or None."""
        return read_json(self.path / "run.json")

    def finished(self) -> bool:
        """Whether there is a result to be believed. Errors: RunError where it is another configuration's."""
        record = self.record() or {}
        return record.get("status") in FINISHED and damage(self.path, record) is None and self._is_ours()

    def due(self) -> bool:
        """Whether there is something to do: it is not finished, or all runs are to be repeated."""
        return self.config["force"] is True or not self.finished()

    def begins_anew(self) -> bool:
        """Whether its earlier life is to be forgotten: `force=true`, or `force=failed` and it has failed."""
        force = self.config["force"]
        return force is True or (force == "failed" and (self.record() or {}).get("status") == "failed")

    def _is_ours(self) -> bool:
        """Two configurations may have one hash, and a file may be edited; a damaged one is written anew by a resume."""
        stored, ours = stored_config(self.path), canonical(self.config.scientific)
        if stored is None or (theirs := canonical(stored)) == ours:
            return stored is not None
        key = next(key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key))
        raise RunError(f"{self.path}: holds another run, whose {key} differs; move it away, or set another results_dir")

    def studies(self) -> list[str]:
        """What this run has been done for, now that our study asks for it too."""
        name = self.config["study"]
        return sorted({*((self.record() or {}).get("studies") or ()), *([name] if name else [])})

    def enter_study(self) -> None:
        """Write our study into the record of a run that is finished; not where another process has the run just now."""
        record = self.record() or {}
        if self.studies() == (record.get("studies") or []):
            return
        with contextlib.suppress(RunError):
            self.acquire()
            try:
                write_all([self.record_file(record | {"studies": self.studies()})])
            finally:
                self.lock.release()

    def acquire(self) -> None:
        """Become the owner; raises RunError if another process is, or where nothing can be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
            self.require_ours()  # and not deleted by somebody between the two
        except OSError as error:
            raise RunError(f"results_dir={self.config['results_dir']}: cannot be written: {error}") from None
        for abandoned in self.path.rglob(".*.part"):  # of a life that was killed while it wrote
            abandoned.unlink()

    def require_ours(self) -> None:
        """Errors: RunError where the directory was deleted, and perhaps begun again by another process."""
        if self.lock.lost():
            raise RunError(f"{self.path}: was removed or begun again by somebody else; this process stops")

    def clear(self) -> None:
        """Forget an earlier life of this run; the caller owns it."""
        for entry in self.path.iterdir():
            if entry == self.lock.path:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def config_file(self) -> tuple[Path, bytes]:
        """config.yaml and what belongs into it: what is part of the run's identity, and what is not."""
        head = f"# {self.config.run_id}: the run's identity is the hash of `scientific`\n"
        body = {"scientific": self.config.scientific, "execution": self.config.execution}
        text = yaml.dump(body, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
        return self.path / "config.yaml", (head + text).encode()

    def record_file(self, record: dict[str, Any]) -> tuple[Path, bytes]:
        """run.json and what belongs into it."""
        return self.path / "run.json", json_bytes(record)

    # ------------------------------------------------------------------------------------------------ metrics.jsonl

    def append_line(self, row: str) -> None:
        """Add a row, a JSON object in one line; it reaches the file with the next `flush`."""
        self._lines.append(row)

    def flush(self, sync: bool = True) -> None:
        """Write the rows so far, all or none.

        sync: wait until they are on the disk; a caller with many runs syncs once for all of them.
        """
        self.require_ours()
        whole = data = "".join(f"{line}\n" for line in self._lines).encode()
        with self.metrics_path.open("ab", buffering=0) as file:
            start = file.tell()
            try:
                while data:
                    data = data[file.write(data) :]
                if sync and file.tell() > start:
                    os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise
        self._lines.clear()
        self._length += len(whole)
        self._digest.update(whole)

    def mark(self) -> dict[str, Any]:
        """Length and digest of metrics.jsonl: what a checkpoint, or a finished run, counts on."""
        return {"metrics_bytes": self._length, "metrics_sha256": self._digest.hexdigest()}

    def has_rows(self, mark: Mapping[str, Any]) -> bool:
        """Whether metrics.jsonl begins with the rows that a checkpoint counts on."""
        return fits(content(self.metrics_path)[: mark["metrics_bytes"]], mark)

    def truncate(self, length: int) -> None:
        """Go back to the rows of a checkpoint, or with 0 to none."""
        self._lines.clear()
        if self.metrics_path.exists():
            os.truncate(self.metrics_path, length)
        self._length, self._digest = length, hashlib.sha256(content(self.metrics_path))

    def rows(self) -> list[dict[str, Any]]:
        return read_rows(self.metrics_path)


def run_directories(results_dir: Path | str, only: Container[str] | None = None) -> list[Path]:
    """The directories of all runs, or of those named in `only`, by name."""
    runs = Path(results_dir, "runs")
    names = sorted(os.listdir(runs)) if runs.is_dir() else []
    names = names if only is None else [one for one in names if one in only]
    return [
        runs / one for one in names if any(os.path.exists(f"{runs}/{one}/{f}") for f in ("config.yaml", "run.json"))
    ]


def believed(directory: Path, record: Mapping[str, Any] | None = None) -> bool:
    """Whether what is stored there can be so, given its run.json if that has been read; if not, one warning names it
    and says why."""
    if why := damage(directory, read_json(directory / "run.json") or {} if record is None else record):
        log.warning("%s is left out: %s", directory, why)
    return not why


def status_of(directory: Path, record: Mapping[str, Any] | None = None) -> str:
    """The truth about a run, given its run.json if that has been read: `running` without a living owner is
    `interrupted`."""
    record = read_json(directory / "run.json") or {} if record is None else record
    status = record.get("status", "running")
    if status == "running" and not Lock(directory / "run.lock").held_by_another():
        return "interrupted"
    return str(status)


def stored_config(directory: Path) -> dict[str, Any] | None:
    """The scientific configuration in a run's config.yaml, or None where it is damaged."""
    try:
        config = yaml.load((directory / "config.yaml").read_bytes(), Loader=LOADER)["scientific"]
    except (OSError, ValueError, RecursionError, yaml.YAMLError, KeyError, TypeError):
        return None
    return config if isinstance(config, dict) else None


def in_study(record: Mapping[str, Any], name: str) -> bool:
    """Whether a run was done for the study `name`, or for a part of it."""
    return any(one == name or one.startswith(f"{name}/") for one in record.get("studies") or ())


def damage(directory: Path, record: Mapping[str, Any]) -> str | None:
    """Why a stored run is not to be believed, given its run.json; None where nothing speaks against it.

    Runs that ended before the digest of their rows was kept are taken as they are.
    """
    if (owner := record.get("run_id", directory.name)) != directory.name:
        return f"it is a copy of {owner}"
    finished = record.get("status") in FINISHED
    if finished and not record.keys() >= RESULT:
        return f"its run.json does not tell its {', '.join(sorted(RESULT - record.keys()))}"
    if finished and "metrics_sha256" in record and not fits(content(directory / "metrics.jsonl"), record):
        return "its metrics.jsonl is not the one that run.json tells of"
    return None


def mark_of(rows: bytes) -> dict[str, Any]:
    """What `RunDirectory.mark` says of these rows."""
    return {"metrics_bytes": len(rows), "metrics_sha256": hashlib.sha256(rows).hexdigest()}


def fits(rows: bytes, mark: Mapping[str, Any]) -> bool:
    """Whether these are the rows that a checkpoint or a finished run's run.json tells of."""
    return bool(hashlib.sha256(rows).hexdigest() == mark.get("metrics_sha256"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a metrics.jsonl; what is torn is left out."""
    return rows_in(content(path))


def rows_in(data: bytes) -> list[dict[str, Any]]:
    """The rows in the content of a metrics.jsonl: at once where every line is one, else line by line."""
    lines = data.decode(errors="replace").splitlines()
    with contextlib.suppress(ValueError, RecursionError):
        rows = json.loads(f"[{','.join(lines)}]")
        if len(rows) == len(lines) and all(isinstance(row, dict) for row in rows):
            return rows  # type: ignore[no-any-return]  # dictionaries, as was just seen
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows

"""`lookahead-bench check`: what is wrong with a store, run by run; what can be mended is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from lookahead_bench.configuration import identity
from lookahead_bench.errors import Held, RunError
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.files import atomic, content, read_json, write_json
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.store import FINISHED, damage, fits, mark_of, stored_config


def check(results_dir: str) -> int:
    """Look at every run, mend what can be mended, and print both; returns the exit status, 1 where damage is left.

    A run that another process is doing is passed over. Errors: RunError without runs, or where nothing can be written.
    """
    directories = sorted(path for path in Path(results_dir, "runs").glob("*") if path.is_dir())
    if not directories:
        raise RunError(f"results_dir={results_dir}: has no runs to check")
    counts = dict.fromkeys(("sound", "mended", "damaged"), 0)
    for directory in directories:
        lock = Lock(directory / "run.lock")
        try:
            lock.acquire()
            mended = [f"{directory}: {said}" for step in MENDS for said in step(directory)]
            if (home := with_lasting_id(directory)) != directory:
                mended.append(f"{directory}: had an id of 32 bits, is {home.name} now")
                directory = home
        except Held as held:
            print(held)
            continue
        except OSError as error:
            raise RunError(f"results_dir={results_dir}: cannot be written: {error}") from None
        finally:
            lock.release()
        damaged = [f"{directory}: {said}" for said in faults(directory)]
        for said in (*mended, *damaged):
            print(said)
        counts["damaged" if damaged else "mended" if mended else "sound"] += 1
    print(f"{sum(counts.values())} runs checked, " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    return 1 if counts["damaged"] else 0


# ------------------------------------------------------------- each mends one thing, as the owner, and says that it did


def remove_abandoned(directory: Path) -> Iterator[str]:
    for path in directory.rglob(".*.part"):
        path.unlink()
        yield f"{path.name}: half a file of a killed process, removed"


def remove_damaged_checkpoints(directory: Path) -> Iterator[str]:
    for path in checkpoint.generations(directory / "checkpoints"):
        if checkpoint.load(path) is None:
            checkpoint.drop([path])
            yield f"{path.name}: damaged, removed; the one before it is used"


def cut_rows(directory: Path) -> Iterator[str]:
    """What stands after the last row: half a row, or what does not belong to a finished run."""
    record, rows = read_json(directory / "run.json") or {}, content(directory / "metrics.jsonl")
    sound = rows.rfind(b"\n") + 1
    if record.get("status") in FINISHED:
        length = record.get("metrics_bytes")
        sound = length if isinstance(length, int) and fits(rows[:length], record) else len(rows)
    if sound < len(rows):
        os.truncate(directory / "metrics.jsonl", sound)
        yield "metrics.jsonl: cut off after its last row"


def tell_interrupted(directory: Path) -> Iterator[str]:
    """No living process is at work here, whatever run.json says; if that is damaged, the run has to be gone on with."""
    path = directory / "run.json"
    record = read_json(path)
    if path.exists() and (record is None or record.get("status") == "running"):
        write_json(path, (record or {"run_id": directory.name}) | {"status": "interrupted"})
        yield f"run.json: {'was damaged' if record is None else 'said running'}, now interrupted"


MENDS: tuple[Callable[[Path], Iterator[str]], ...] = (
    remove_abandoned, remove_damaged_checkpoints, cut_rows, tell_interrupted,
)  # fmt: skip


def with_lasting_id(directory: Path) -> Path:
    """Where a finished run belongs that was stored before ids were made to last; it is moved there, and says so.

    Only if its configuration is the one that its old id was the hash of.
    """
    config, path = stored_config(directory), directory / "run.json"
    record = read_json(path) or {}
    if config is None or record.get("status") not in FINISHED or stored_id(config) in (None, directory.name):
        return directory
    if identity.run_id_of_32_bits(config) != directory.name or record.get("run_id") != directory.name:
        return directory
    home = directory.with_name(identity.run_id(config))
    if home.exists():
        return directory
    text = (directory / "config.yaml").read_text(encoding="utf-8").replace(directory.name, home.name, 1)
    with atomic(directory / "config.yaml") as file:
        file.write(text.encode())
    marks = mark_of(content(directory / "metrics.jsonl"))
    write_json(path, record | {"run_id": home.name, "formerly": directory.name} | marks)
    directory.rename(home)
    return home


# -------------------------------------------------------------------------------------------------- what stays damaged


def faults(directory: Path) -> Iterator[str]:
    """What is left that a user must do something about."""
    if not any((directory / name).exists() for name in ("config.yaml", "run.json", "metrics.jsonl")):
        return  # killed before it began
    again = "the same command goes on from its last sound checkpoint"
    config, record = stored_config(directory), read_json(directory / "run.json") or {}
    if why := damage(directory, record):
        yield f"{why}; " + ("remove it" if "copy" in why else again)
    elif config is None:
        yield "its config.yaml is missing or damaged; the same command with force=true writes it again"
    elif (own := stored_id(config)) != directory.name:
        yield f"its config.yaml has the id {own}; remove it"
    if record.get("status") not in FINISHED and not all(map(is_row, content(directory / "metrics.jsonl").splitlines())):
        yield f"metrics.jsonl has a damaged row; {again}"
    best = directory / "checkpoints" / "best.pt"
    if best.exists() and checkpoint.load(best) is None:
        yield "best.pt is damaged; force=true repeats the run"


def stored_id(config: dict[str, object]) -> str | None:
    """The id of a stored scientific configuration; None for what is none."""
    try:
        return identity.run_id(config)
    except (KeyError, TypeError, AttributeError):
        return None


def is_row(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {"step", "split", "weights"} <= row.keys()

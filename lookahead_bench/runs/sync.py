"""`lookahead-bench sync`: the curves in the files, replayed into W&B under each run's fixed id."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from lookahead_bench.errors import RunError
from lookahead_bench.runs.files import read_json, write_json
from lookahead_bench.runs.progress import State
from lookahead_bench.runs.store import FINISHED, believed, read_rows, run_directories, stored_config
from lookahead_bench.runs.tracker import begin, has_key, settings, wandb_row

log = logging.getLogger("lookahead_bench")
MARK = "synced.json"
AT_WORK = ("running", "held")


def sync(results_dir: str, project: str, entity: str | None) -> int:
    """Upload every run that nobody is at and that is not there as it is: finished, failed and interrupted ones,
    replicas, and those that were mirrored offline. A second call uploads nothing. Returns the exit status.

    Errors: RunError without runs or without a configured key.
    """
    states = {one: State.of(one) for one in run_directories(results_dir) if (one / "metrics.jsonl").exists()}
    marks = {
        directory: mark(directory, state, project, entity)
        for directory, state in states.items()
        if state.status not in AT_WORK and believed(directory)
    }
    if not marks:
        raise RunError(f"results_dir={results_dir}: has no runs to sync")
    todo = {directory: own for directory, own in marks.items() if read_json(directory / MARK) != own}
    if todo and not has_key():
        raise RunError(f"{len(todo)} runs to sync, but no W&B key; set WANDB_API_KEY or run `wandb login`")
    failed = 0
    for directory, own in todo.items():
        try:
            replay(directory, own)
            write_json(directory / MARK, own)
        except Exception as error:  # one run that cannot be uploaded must not keep back the others
            failed += 1
            log.warning("%s: %s", directory.name, " ".join(str(error).split())[:200])
    print(f"{len(todo) - failed} runs synced, {len(marks) - len(todo)} had been, {failed} failed")
    return 1 if failed else 0


def mark(directory: Path, state: State, project: str, entity: str | None) -> dict[str, Any]:
    """What is uploaded: with more rows, another status, study or project it is uploaded anew."""
    return {
        "project": project,
        "entity": entity,
        "bytes": (directory / "metrics.jsonl").stat().st_size,
        "status": state.status,
        "studies": state.record.get("studies") or [],
    }


def replay(directory: Path, what: dict[str, Any]) -> None:
    """One run from its first row to its last. W&B takes a step only once, so what it has already it keeps."""
    config = stored_config(directory)
    if config is None:
        raise RunError("its config.yaml is missing or damaged")
    with tempfile.TemporaryDirectory() as scratch:
        run = begin(
            directory.name, config, what["studies"], project=what["project"], entity=what["entity"], mode="online",
            dir=scratch, settings=settings(scratch),
        )  # fmt: skip
        for i, row in enumerate(read_rows(directory / "metrics.jsonl")):
            run.log({k: float(v) if isinstance(v, str) else v for k, v in wandb_row(row).items()}, step=i)  # "nan"
        run.summary.update({"status": what["status"]})
        run.finish(exit_code=0 if what["status"] in FINISHED else 1)

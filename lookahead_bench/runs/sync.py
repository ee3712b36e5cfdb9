"""`lookahead-bench sync`: the curves in the files, replayed into W&B under each run's fixed id."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from lookahead_bench.errors import RunError
from lookahead_bench.runs.files import read_json, write_json
from lookahead_bench.runs.results import believed, run_directories
from lookahead_bench.runs.store import FINISHED, read_rows, status_of, stored_config
from lookahead_bench.runs.tracker import has_key, settings, wandb_row

log = logging.getLogger("lookahead_bench")
MARK = "synced.json"


def sync(results_dir: str, project: str, entity: str | None) -> int:
    """Upload every finished run that is not there as it is; a second call uploads nothing. Returns the exit status.

    Errors: RunError without runs or without a configured key.
    """
    directories = [d for d in run_directories(results_dir) if status_of(d) in FINISHED and believed(d)]
    if not directories:
        raise RunError(f"results_dir={results_dir}: has no finished runs to sync")
    todo = [d for d in directories if read_json(d / MARK) != mark(d, project, entity)]
    if todo and not has_key():
        raise RunError(f"{len(todo)} runs to sync, but no W&B key; set WANDB_API_KEY or run `wandb login`")
    failed = 0
    for directory in todo:
        try:
            replay(directory, project, entity)
            write_json(directory / MARK, mark(directory, project, entity))
        except Exception as error:  # one run that cannot be uploaded must not keep back the others
            failed += 1
            log.warning("%s: %s", directory.name, " ".join(str(error).split())[:200])
    print(f"{len(todo) - failed} runs synced, {len(directories) - len(todo)} had been, {failed} failed")
    return 1 if failed else 0


def mark(directory: Path, project: str, entity: str | None) -> dict[str, object]:
    """What was uploaded: a longer metrics.jsonl or another project is uploaded anew."""
    return {"project": project, "entity": entity, "bytes": (directory / "metrics.jsonl").stat().st_size}


def replay(directory: Path, project: str, entity: str | None) -> None:
    """One run from its first row to its last. W&B takes a step only once, so what it has already it keeps."""
    config = stored_config(directory)
    if config is None:
        raise RunError("its config.yaml is missing or damaged")
    with tempfile.TemporaryDirectory() as scratch:
        quiet = settings(scratch)
        import wandb

        run = wandb.init(
            project=project, entity=entity, id=directory.name, name=directory.name, resume="allow", mode="online",
            dir=scratch, config=config, settings=quiet,
        )  # fmt: skip
        run.define_metric("*", step_metric="step")
        for i, row in enumerate(read_rows(directory / "metrics.jsonl")):
            run.log(wandb_row(row), step=i)
        run.summary.update({"status": status_of(directory)})
        run.finish()

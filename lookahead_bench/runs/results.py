"""Everything that a results directory holds, as one data frame; the reports use nothing else."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.store import believed, in_study, read_rows, run_directories, status_of, stored_config

log = logging.getLogger("lookahead_bench")
NAMED = ("dataset", "optimizer", "model", "schedule")
RECORD = ("status", "metric", "direction", "also", "git_revision", "samples_per_s", "replicas", "studies")
WORDS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", plain(value)


def run_columns(directory: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in every row of a run: its identity, its status, its scientific configuration, flattened."""
    record = read_json(directory / "run.json") or {}
    columns: dict[str, Any] = {"run_id": directory.name, **{key: plain(record.get(key)) for key in RECORD}}
    columns["status"] = status_of(directory)
    for group in NAMED:
        columns[group] = (config.get(group) or {}).get("name")
    columns["scale"] = config.get("scale")
    return columns | {key: value for key, value in flat(config) if key not in NAMED}


def load_results(
    results_dir: Path | str = "results", only: Container[str] | None = None, study: str | None = None
) -> pd.DataFrame:
    """All runs below `results_dir`, those named in `only`, or those of a study: one line for each row of metrics.jsonl.

    Columns: run_id, status, dataset, optimizer, model, schedule (names), the scientific configuration (`seed`, `scale`,
    `optimizer.lr`, `dataset.rho`, ...), and those of the rows (step, oracle_calls, samples, epoch, seconds, split,
    weights, loss, ...). A run without rows has one line, so that it is counted. A damaged one, or a copy of another, is
    left out with a warning that names it.
    """
    frames: list[pd.DataFrame] = []
    of_runs: dict[str, None] = {}  # names of columns, in the order in which they appear
    for directory in run_directories(results_dir):
        if only is not None and directory.name not in only:
            continue
        if study is not None and not in_study(read_json(directory / "run.json") or {}, study):
            continue
        config = stored_config(directory)
        if config is None:
            log.warning("%s is left out: its config.yaml is missing or damaged", directory)
        if config is None or not believed(directory):
            continue
        columns = run_columns(directory, config)
        metrics = directory / "metrics.jsonl"
        rows = read_frame(metrics) if metrics.exists() and metrics.stat().st_size else pd.DataFrame([{}])
        known = {k: v for k, v in columns.items() if k not in rows.columns or k in ("run_id", "status")}
        constant = pd.DataFrame({k: pd.Series([v] * len(rows), index=rows.index) for k, v in known.items()})
        of_runs |= dict.fromkeys(constant.columns)
        frames.append(pd.concat([constant, rows], axis=1))
    if not frames:
        return pd.DataFrame(columns=["run_id", "status"])
    frame = pd.concat(frames, ignore_index=True)
    return frame[[*of_runs, *(c for c in frame.columns if c not in of_runs)]]


def read_frame(path: Path) -> pd.DataFrame:
    """The rows of a metrics.jsonl, with the words for non-finite numbers as the numbers they stand for."""
    rows = [{k: WORDS.get(v, v) if isinstance(v, str) else v for k, v in row.items()} for row in read_rows(path)]
    return pd.DataFrame(rows or [{}])

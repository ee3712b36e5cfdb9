"""Everything that a results directory holds, as one data frame; the reports use nothing else."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.lock import Lock

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NAMED = ("dataset", "optimizer", "model", "schedule")
RECORD = ("status", "metric", "direction", "git_revision", "samples_per_s", "replicas")
WORDS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def status_of(directory: Path) -> str:
    """The truth about a run: `running` without a living owner is `interrupted`."""
    status = (read_json(directory / "run.json") or {}).get("status", "running")
    if status == "running" and not Lock(directory / "run.lock").held_by_another():
        return "interrupted"
    return str(status)


def run_directories(results_dir: Path | str) -> list[Path]:
    """The directories of all runs, by name."""
    return sorted(p.parent for p in Path(results_dir, "runs").glob("*/config.yaml"))


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else value


def run_columns(directory: Path) -> dict[str, Any]:
    """What is the same in every row of a run: its identity, its status, its scientific configuration, flattened."""
    try:
        config = yaml.load((directory / "config.yaml").read_text(), Loader=LOADER)["scientific"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):  # damaged; the run is still counted
        config = {}
    record = read_json(directory / "run.json") or {}
    columns: dict[str, Any] = {"run_id": directory.name, **{key: record.get(key) for key in RECORD}}
    columns["status"] = status_of(directory)
    for group in NAMED:
        columns[group] = (config.get(group) or {}).get("name")
    columns["scale"] = config.get("scale")
    return columns | {key: value for key, value in flat(config) if key not in NAMED}


def load_results(results_dir: Path | str = "results", only: Container[str] | None = None) -> pd.DataFrame:
    """All runs below `results_dir`, or those named in `only`: one line for each row of each metrics.jsonl.

    Columns: run_id, status, dataset, optimizer, model, schedule (names), the scientific configuration (`seed`, `scale`,
    `optimizer.lr`, `dataset.rho`, ...), and those of the rows (step, oracle_calls, samples, epoch, seconds, split,
    weights, loss, ...). A run without rows has one line, so that it is counted.
    """
    frames: list[pd.DataFrame] = []
    of_runs: dict[str, None] = {}  # names of columns, in the order in which they appear
    for directory in run_directories(results_dir):
        if only is not None and directory.name not in only:
            continue
        columns = run_columns(directory)
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
    from lookahead_bench.runs.store import read_rows

    rows = [{k: WORDS.get(v, v) if isinstance(v, str) else v for k, v in row.items()} for row in read_rows(path)]
    return pd.DataFrame(rows or [{}])

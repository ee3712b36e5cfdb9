"""Everything that a results directory holds, as data frames; the reports use nothing else.

But for pictures, and the checkpoints of what `figures` scores between weights. A line a run first (`load_runs`), from
two small files each; rows (`load_results`) of those runs only that need them.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from lookahead_bench.runs.files import content, read_json
from lookahead_bench.runs.store import (
    LOADER,
    believed,
    in_study,
    rows_in,
    run_directories,
    status_of,
    stored_config,
)

log = logging.getLogger("lookahead_bench")
NAMED = ("dataset", "optimizer", "model", "schedule")
RECORD = ("status", "metric", "direction", "also", "git_revision", "samples_per_s", "replicas", "studies")
BATCH = 10_000  # rows that become a frame at once: one for each run takes long, dictionaries take room
OWNED = ("run_id", "status")  # whatever the rows may call so
WORDS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
WRITTEN = re.compile(r"#[^\n]*\nscientific:(\n.*?)\nexecution:\n", re.DOTALL)  # our config.yaml
KEY = re.compile(r"\n(?=  [^ -])")  # before a key of `scientific`


class Stored(NamedTuple):
    """One run that is to be believed: its run.json, and its scientific configuration, flattened."""

    directory: Path
    record: dict[str, Any]
    config: dict[str, Any]


def load_runs(results_dir: Path | str = "results", study: str | None = None) -> pd.DataFrame:
    """All runs below `results_dir`, or those of a study: one line a run, from its run.json and config.yaml.

    Columns: run_id, status, dataset, optimizer, model, schedule (names), the scientific configuration (`seed`, `scale`,
    `optimizer.lr`, ...), then `weights` (the kind that the method is judged by) and run.json's entries: step,
    oracle_calls, samples, `final.SPLIT.WEIGHTS.METRIC`, `best.value`, `seconds.train`, command_line, ... A damaged run,
    or a copy of another, is left out with a warning that names it.
    """
    lines = []
    before: dict[str, None] = {}  # names of columns, in the order in which they appear
    for one in stored_runs(results_dir, study=study):
        columns = columns_of(one)
        before |= dict.fromkeys(columns)
        record = {
            key: number(value) for key, value in flat(one.record).items() if key not in columns and value is not None
        }
        lines.append(columns | {"weights": judged_weights(record)} | record)
    if not lines:
        return pd.DataFrame(columns=["run_id", "status"])
    frame = pd.DataFrame(lines)
    return frame[[*before, *frame.columns.difference(list(before), sort=False)]]


def load_results(
    results_dir: Path | str = "results",
    only: Container[str] | None = None,
    study: str | None = None,
    splits: Sequence[str] = (),
) -> pd.DataFrame:
    """All runs below `results_dir`, those named in `only`, or those of a study: one line for each row of metrics.jsonl.

    splits: read rows of these only; the evaluations alone are a tenth of most runs.

    Columns: run_id, status, dataset, optimizer, model, schedule (names), the scientific configuration (`seed`, `scale`,
    `optimizer.lr`, `dataset.rho`, ...), and those of the rows (step, oracle_calls, samples, epoch, seconds, split,
    weights, loss, ...). A run without rows has one line, so that it is counted. A damaged one, or a copy of another, is
    left out with a warning that names it.
    """
    runs: list[dict[str, Any]] = []
    counts: list[int] = []
    rows: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for one in stored_runs(results_dir, only, study):
        mine = read_metrics(one.directory / "metrics.jsonl", splits) or [{}]
        own = set().union(*mine)
        runs.append({key: value for key, value in columns_of(one).items() if key in OWNED or key not in own})
        counts.append(len(mine))
        rows += mine
        if len(rows) >= BATCH:
            frames.append(pd.DataFrame(rows))
            rows = []
    if not runs:
        return pd.DataFrame(columns=list(OWNED))
    constant = pd.DataFrame(runs).loc[np.repeat(np.arange(len(runs)), counts)].reset_index(drop=True)
    frame = pd.concat([*frames, *([pd.DataFrame(rows)] if rows else [])], ignore_index=True)
    frame = frame.drop(columns=list(OWNED), errors="ignore")
    for key in frame.columns.intersection(constant.columns):  # one run's setting is another one's score
        frame[key] = frame[key].astype(object).fillna(constant.pop(key))
    return pd.concat([constant, frame], axis=1)


def read_metrics(path: Path, splits: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, of these splits or all, with the words for non-finite numbers as numbers."""
    data = content(path)
    if splits:
        found = re.finditer(f'"split": "(?:{"|".join(map(re.escape, splits))})"'.encode(), data)
        spans = dict.fromkeys((data.rfind(b"\n", 0, one.start()) + 1, data.find(b"\n", one.end())) for one in found)
        data = b"\n".join(data[start : end if end >= 0 else None] for start, end in spans)
    rows = rows_in(data)
    if any(f'"{word}"'.encode() in data for word in WORDS):
        rows = [{k: number(v) for k, v in row.items()} for row in rows]
    return rows


# ----------------------------------------------------------------------------------------------------------- one run


def stored_runs(
    results_dir: Path | str, only: Container[str] | None = None, study: str | None = None
) -> Iterator[Stored]:
    """Every run, those named in `only`, or those of a study; for one that is not to be believed there is a warning."""
    for directory in run_directories(results_dir, only):
        record = read_json(directory / "run.json") or {}
        if study is not None and not in_study(record, study):
            continue
        config = flat_config(directory)
        if config is None:
            log.warning("%s is left out: its config.yaml is missing or damaged", directory)
        elif believed(directory, record):
            yield Stored(directory, record, config)


def columns_of(run: Stored) -> dict[str, Any]:
    """What is the same in every row of a run: its identity, its status, its scientific configuration."""
    columns: dict[str, Any] = {"run_id": run.directory.name}
    columns |= {key: plain(run.record.get(key)) for key in RECORD}
    columns["status"] = status_of(run.directory, run.record)
    columns |= {group: run.config.get(f"{group}.name") for group in NAMED}
    columns["scale"] = run.config.get("scale")
    return columns | {key: value for key, value in run.config.items() if key not in NAMED}


def judged_weights(record: Mapping[str, Any]) -> str | None:
    """The kind that the method is evaluated with: of those in `final.SPLIT.WEIGHTS.METRIC` the one scored last."""
    scored = [key.split(".")[2] for key in record if key.startswith("final.") and key.count(".") > 2]
    return scored[-1] if scored else None


def flat_config(directory: Path) -> dict[str, Any] | None:
    """The scientific configuration, flattened, or None where config.yaml is damaged.

    A YAML parser takes longer than all else together, and runs differ in few keys: each key of `scientific` is parsed
    once for all runs that have it letter for letter. What is not as we write it is parsed whole.
    """
    written = WRITTEN.match(content(directory / "config.yaml").decode(errors="replace"))
    with contextlib.suppress(ValueError, TypeError, AttributeError, yaml.YAMLError):
        if written:
            return {key: value for entry in KEY.split(written[1])[1:] for key, value in parsed(entry).items()}
    config = stored_config(directory)
    return None if config is None else flat(config)


@cache
def parsed(text: str) -> dict[str, Any]:
    """A mapping in YAML, flattened."""
    return flat(yaml.load(text, Loader=LOADER))


def flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": [1]}} as {"a.b": (1,)}."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + str(key)] = plain(value)
    return found


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def number(value: Any) -> Any:
    return WORDS.get(value, value) if isinstance(value, str) else value

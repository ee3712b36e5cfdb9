"""`lookahead-bench report html=FILE`: everything that is stored of some runs as one file that opens offline.

The curves are Bokeh's, whose own HTML export brings its script along; tables, choices and the legend are plain HTML, so
that a keyboard, a screen reader and a phone can use them. The page's policy forbids it to load anything.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from bokeh.embed import file_html
from bokeh.models import Model, Spacer
from bokeh.resources import INLINE
from jinja2 import Environment

from lookahead_bench.errors import ConfigError, RunError
from lookahead_bench.report.page import sensitivity
from lookahead_bench.report.page.figures import MARKED, MARKERS, bokeh_figure, dash, looks_of
from lookahead_bench.report.page.lines import Figure, Group, curves
from lookahead_bench.report.page.pictures import Strip, strips
from lookahead_bench.report.plotting import Look
from lookahead_bench.report.report import TASK, summarise, variants
from lookahead_bench.runs.files import atomic
from lookahead_bench.runs.results import RECORD, load_results, load_runs
from lookahead_bench.runs.store import STATUSES

RUNS = 1000  # that are listed one by one
HERE = files("lookahead_bench.report.page")


@dataclass(frozen=True)
class Task:
    """What the page says of the runs on one task at one scale."""

    name: str
    title: str
    table: pd.DataFrame
    caption: str
    figures: list[Figure]
    pictures: list[Strip]
    differing: pd.DataFrame
    common: pd.DataFrame


class Entry(NamedTuple):
    """A line of a legend."""

    label: str
    swatch: str
    shown: bool


def write(file: str, results_dir: str, only: Mapping[str, str], study: str | None, command: Sequence[str]) -> str:
    """Write the page; says what is in it.

    only: {"dataset": ..., "scale": ...} restricts the runs; study: to those that were done for it.
    Errors: ConfigError where there is no place for the file; RunError where there is nothing to report.
    """
    if not Path(file).parent.is_dir() or Path(file).is_dir():
        raise ConfigError(f"html={file}: names no file in a directory that exists")
    runs = load_runs(results_dir, study)
    for key, value in only.items():
        runs = runs.loc[runs[key] == value] if key in runs else runs.iloc[:0]
    if runs.empty:
        raise RunError(f"results_dir={results_dir}: has no runs to report; run some first")
    tasks = list(tasks_of(results_dir, runs))
    figures = [figure for task in tasks for figure in task.figures]
    plots: list[Model] = [bokeh_figure(figure) for figure in figures]
    page = {
        "style": HERE.joinpath("style.css").read_text(), "script": HERE.joinpath("page.js").read_text(),
        "subtitle": f"{len(runs):,} runs of {runs['optimizer'].nunique()} methods in {results_dir}", "tasks": tasks,
        "studies": studies(runs), "runs": listed(runs), "runs_words": runs_words(runs), "commands": commands(runs),
        "command": shlex.join(command), "lines": lines(figures), "legends": {one.name: legend(one) for one in figures},
    }  # fmt: skip
    template = Environment(autoescape=True).from_string(HERE.joinpath("template.html").read_text())
    title = f"lookahead-bench: {study or Path(results_dir).resolve().name}"
    html = file_html(plots or [Spacer()], INLINE, title, template=template, template_variables={"page": page})
    with atomic(Path(file)) as out:
        out.write(html.encode())
    return f"{file}: {len(runs):,} runs, {len(tasks)} tasks, {len(figures)} figures, {len(html) / 1e6:.1f} MB"


def tasks_of(results_dir: str, runs: pd.DataFrame) -> Iterator[Task]:
    """One for every task and scale, in the order of their names."""
    for key, mine in runs.groupby(TASK, dropna=False):
        parts = [str(part) for part in key if isinstance(part, str)]
        name = "-".join(parts) or "unreadable"
        rows = load_results(results_dir, only=set(mine["run_id"]))
        rows = rows.assign(variant=variants(rows))
        labels = rows.drop_duplicates("run_id").set_index("run_id")["variant"]
        mine = mine[mine["run_id"].isin(labels.index)].assign(label=mine["run_id"].map(labels))
        groups = [
            Group(str(of["optimizer"].iloc[0]), str(label), str(of["weights"].iloc[-1]), list(of["run_id"]))
            for label, of in mine[mine["weights"].notna()].groupby("label", sort=False)
        ]
        yield Task(name, ", ".join(parts), summarise(rows), "Mean over seeds ± 95 % interval",
                   list(figures_of(name, mine, groups, rows)), strips(results_dir, groups),
                   *settings(mine))  # fmt: skip


def figures_of(name: str, runs: pd.DataFrame, groups: Sequence[Group], rows: pd.DataFrame) -> Iterator[Figure]:
    """Curves, and how the score on the split for choosing depends on each number that was swept."""
    known = runs[runs["metric"].notna()]
    if known.empty:
        return
    metric, direction, also = known[["metric", "direction", "also"]].iloc[0]
    metrics = dict.fromkeys([metric, *(also if isinstance(also, tuple) else ()), "loss"])
    found = curves(f"{name}-curves", "Curves: mean over seeds; band: the extreme seeds", groups, rows, list(metrics))
    if found is not None:
        yield found
    done = runs[runs["status"] == "done"]
    for split in ("val", "test"):
        scored = done.assign(score=scores(done, split, metric))
        if scored["score"].notna().any():
            yield from sensitivity.figures(name, scored, metric, higher=direction == "max", split=split)
            return


def scores(runs: pd.DataFrame, split: str, metric: str) -> pd.Series:
    """The final ones, of the weights that each run's method is judged by."""
    found = pd.Series(math.nan, runs.index)
    for kind, mine in runs.groupby("weights"):
        if (column := f"final.{split}.{kind}.{metric}") in runs:
            found[mine.index] = mine[column]
    return found


def settings(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What differs between the settings, a column each; and the keys that are the same for all."""
    before = list(runs.columns[: runs.columns.get_loc("weights")])
    keys = [key for key in before if key not in ("run_id", "seed", *RECORD) and not key.endswith(".name")]
    first = runs.drop_duplicates("label").set_index("label")[keys]
    texts = first.map(text)
    differs = texts.nunique() > 1
    differing = texts.loc[:, differs].T.rename_axis("key").reset_index()
    common = texts.loc[:, ~differs].iloc[:1].T.rename_axis("key").reset_index()
    common.columns = ["key", "value"]
    return differing, common[common["value"] != ""]


def studies(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a study; runs of none have a line too."""
    named = runs["studies"].map(lambda names: names if isinstance(names, tuple) and names else ("(no study)",))
    each = runs.assign(study=named).explode("study")
    lines = []
    for study, mine in each.groupby("study"):
        counts = mine["status"].value_counts()
        lines.append(
            {"study": study, "tasks": ", ".join(sorted(mine["dataset"].dropna().unique())), "runs": len(mine)}
            | {status: int(counts.get(status, 0)) for status in STATUSES[::-1] if status in set(runs["status"])}
        )
    return pd.DataFrame(lines)


def listed(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a run, of the first `RUNS`."""
    names = {"run_id": "run", "status": "status", "optimizer": "optimizer", "seed": "seed", "best.split": "best on",
             "best.metric": "metric", "best.value": "value", "oracle_calls": "oracle calls",
             "seconds.train": "train seconds"}  # fmt: skip
    shown = runs.head(RUNS)[[key for key in names if key in runs]]
    return shown.map(text).rename(columns=names)


def runs_words(runs: pd.DataFrame) -> str:
    return f"{len(runs):,} runs" + (f", the first {RUNS:,} of them one by one" if len(runs) > RUNS else "")


def commands(runs: pd.DataFrame) -> pd.DataFrame:
    """Every command line once, with how many runs came from it."""
    told = runs.get("command_line", pd.Series("(not recorded)", runs.index)).fillna("(not recorded)")
    return told.value_counts(sort=False).rename_axis("command").reset_index(name="runs")


def text(value: Any) -> str:
    """As it is set on a command line, a class by its name alone; empty where the key is not there."""
    if isinstance(value, tuple):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, Mapping):
        name, rest = (
            str(value.get("_target_", "")).rpartition(".")[2],
            {k: v for k, v in value.items() if k != "_target_"},
        )
        return name + (f"({', '.join(f'{k}={text(v)}' for k, v in rest.items())})" if rest else "")
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------------ what the script reads


def lines(figures: Sequence[Figure]) -> str:
    """The points of every figure in every view, as JSON that can stand in a page."""
    data = {
        figure.name: {
            "axes": figure.axes, "views": figure.views, "marked": MARKED,
            "labels": [line.group.label for line in figure.lines], "lines": [line.views for line in figure.lines],
            "ranges": {
                view: {"y": figure.y_range(view)} | {axis: figure.x_range(view, axis) for axis in figure.axes}
                for view in figure.views
            },
        }
        for figure in figures
    }  # fmt: skip
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def legend(figure: Figure) -> list[Entry]:
    pairs = zip(figure.lines, looks_of(figure), strict=True)
    return [Entry(line.group.label, swatch(look), line.group.shown) for line, look in pairs]


def swatch(look: Look) -> str:
    """A piece of the line, with its marker."""
    dashes = " ".join(map(str, dash(look.line)))
    return (
        f'<svg width="36" height="16" viewBox="-18 -8 36 16" aria-hidden="true" fill="none" stroke="{look.colour}">'
        f'<path d="M-18,0H18" stroke-width="2" stroke-dasharray="{dashes}"/>'
        f'<path d="{MARKERS[look.marker].outline}" transform="scale(5)" stroke-width=".35" fill="#fff"/></svg>'
    )

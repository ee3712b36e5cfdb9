"""`lookahead-bench report html=FILE`: everything that is stored of some runs as one file that opens offline.

The curves are Bokeh's, whose own HTML export brings its script along; tables, choices and the legend are plain HTML, so
that a keyboard, a screen reader and a phone can use them. The page's policy forbids it to load anything.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from bokeh.embed import file_html
from bokeh.models import Model, Spacer
from bokeh.resources import INLINE
from jinja2 import Environment

from lookahead_bench.errors import ConfigError
from lookahead_bench.report import search
from lookahead_bench.report.curves import caption
from lookahead_bench.report.page import sensitivity
from lookahead_bench.report.page.figures import MARKED, MARKERS, bokeh_figure, dash, looks_of
from lookahead_bench.report.page.lines import Figure, Group, curves
from lookahead_bench.report.page.pictures import Strip, strips
from lookahead_bench.report.plotting import Look
from lookahead_bench.report.report import line_name, of_papers, runs_of, search_reports
from lookahead_bench.report.settings import Problem, outcomes, problems
from lookahead_bench.report.summary_table import summary_table
from lookahead_bench.report.tables import LEFT, Table
from lookahead_bench.report.verdicts import trials_too
from lookahead_bench.runs.files import atomic
from lookahead_bench.runs.results import RECORD, load_results
from lookahead_bench.runs.store import STATUSES

RUNS = 1000  # that are listed one by one
LINES = 40  # of a figure, that the chosen settings alone may exceed
HERE = files("lookahead_bench.report.page")


class Settings(NamedTuple):
    """A line a key: one column for every setting; and what all have."""

    differing: pd.DataFrame
    common: pd.DataFrame


@dataclass(frozen=True)
class Task:
    """What the page says of the runs on one task at one scale. every: a line a setting, where several were tried."""

    name: str
    title: str
    table: Table
    every: Table | None
    figures: list[Figure]
    pictures: list[Strip]
    settings: Settings


class Entry(NamedTuple):
    """A line of a legend."""

    label: str
    swatch: str
    shown: bool


def write(file: str, results_dir: str, only: Mapping[str, str], study: str | None, command: Sequence[str]) -> str:
    """Write the page; says what is in it.

    only, study: which runs, as for `report.write`; command: of the terminal, to make the page anew.
    Errors: ConfigError where there is no place for the file; RunError where there is nothing to report.
    """
    if not Path(file).parent.is_dir() or Path(file).is_dir():
        raise ConfigError(f"html={file}: names no file in a directory that exists")
    runs = outcomes(runs_of(results_dir, only, study))
    tasks = list(tasks_of(results_dir, runs))
    searched = [
        Table(one.name, f"{one.name}: a search", search.table(one)) for one in search_reports(results_dir, runs)
    ]
    across = of_papers(results_dir, runs, [one for one in problems(runs) if one.settings])
    figures = [figure for task in tasks for figure in task.figures]
    plots: list[Model] = [bokeh_figure(figure) for figure in figures]
    page = {
        "style": HERE.joinpath("style.css").read_text(), "script": HERE.joinpath("page.js").read_text(),
        "subtitle": f"{len(runs):,} runs of {runs['optimizer'].nunique()} methods in {results_dir}", "tasks": tasks,
        "studies": studies(runs), "runs": listed(runs), "runs_words": runs_words(runs), "commands": commands(runs),
        "searches": searched, "papers": across, "left": LEFT, "command": shlex.join(command), "lines": lines(figures),
        "legends": {one.name: legend(one) for one in figures},
    }  # fmt: skip
    template = Environment(autoescape=True).from_string(HERE.joinpath("template.html").read_text())
    title = f"lookahead-bench: {study or Path(results_dir).resolve().name}"
    html = file_html(plots or [Spacer()], INLINE, title, template=template, template_variables={"page": page})
    with atomic(Path(file)) as out:
        out.write(html.encode())
    return f"{file}: {len(runs):,} runs, {len(tasks)} tasks, {len(figures)} figures, {len(html) / 1e6:.1f} MB"


def tasks_of(results_dir: str, runs: pd.DataFrame) -> Iterator[Task]:
    """One for every task and scale, in the order of their names. runs: as `outcomes` gives them."""
    tried = {task: list(some) for task, some in groupby(problems(trials_too(runs)), key=lambda one: one.task)}
    for task, some in groupby(problems(runs), key=lambda one: one.task):
        of = [one for one in some if one.settings]
        if not of:
            continue
        parts = [str(part) for part in task if isinstance(part, str)]
        name, groups = "-".join(parts) or "unreadable", groups_of(of)
        several = any(len(one.settings) > len(one.chosen) for one in of)
        yield Task(
            name=name,
            title=", ".join(parts),
            table=summary_table(name, of),
            every=summary_table(name, of, every=True) if several else None,
            figures=[*curves_of(results_dir, name, of[0], groups), *sensitivities(name, tried[task])],
            pictures=strips(results_dir, [one for one in groups if one.shown]),
            settings=settings(of),
        )  # fmt: skip


def groups_of(of: Sequence[Problem]) -> list[Group]:
    """The lines of a task: those that validation chose, then, as long as they are few, all others, hidden at first."""
    chosen = [(one, setting, True) for one in of for setting in one.chosen]
    others = [(one, setting, False) for one in of for setting in one.settings
              if all(setting is not best for best in one.chosen)]  # fmt: skip
    return [
        Group(setting.method, line_name(one, setting), str(setting.done["weights"].iloc[-1]),
              list(setting.runs["run_id"]), shown)
        for one, setting, shown in (chosen + others if len(chosen + others) <= LINES else chosen)
        if not setting.done.empty
    ]  # fmt: skip


def curves_of(results_dir: str, name: str, problem: Problem, groups: Sequence[Group]) -> Iterator[Figure]:
    if not groups:
        return
    rows = load_results(results_dir, only={run_id for group in groups for run_id in group.run_ids})
    done = rows[rows["status"] == "done"]
    also = next((names for names in rows["also"] if isinstance(names, tuple)), ())
    metrics = list(dict.fromkeys([problem.metric, *also, "loss"]))
    words = caption(rows, [done[done["run_id"].isin(set(group.run_ids))] for group in groups])
    found = curves(f"{name}-curves", f"Curves: {words}", groups, rows, metrics)
    if found is not None:
        yield found


def sensitivities(name: str, of: Sequence[Problem]) -> Iterator[Figure]:
    for i, problem in enumerate(of):
        yield from sensitivity.figures(f"{name}-{i}", problem)


def settings(of: Sequence[Problem]) -> Settings:
    """What differs between the settings that were chosen, a column each; and what is the same for all."""
    runs = {line_name(one, setting): setting.runs.iloc[0] for one in of for setting in one.chosen}
    texts = pd.DataFrame(runs).loc[:"weights"].drop(["run_id", "seed", "weights", *RECORD]).map(text)
    texts = texts[~texts.index.str.endswith(".name")].rename_axis("key")
    differs = texts.nunique(axis=1) > 1
    common = texts.loc[~differs].iloc[:, 0]
    return Settings(texts[differs].reset_index(), common[common != ""].reset_index(name="value"))


def studies(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a study; of a search one for its trials and one for its finals. Runs of none have a line too."""
    named = runs["studies"].map(lambda names: names if isinstance(names, tuple) and names else ("(no study)",))
    each = runs.assign(study=named).explode("study")
    lines = []
    for study, mine in each.groupby(each["study"].str.replace(r"/(trials|finals)/[^/]+/\d+$", r"/\1", regex=True)):
        mine, counts = mine.drop_duplicates("run_id"), mine.drop_duplicates("run_id")["status"].value_counts()
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

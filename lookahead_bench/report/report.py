"""`lookahead-bench report`: for each task and scale a table over optimizers, curves, and what the papers say."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import pandas as pd

from lookahead_bench.errors import RunError
from lookahead_bench.report import search
from lookahead_bench.report.console import console
from lookahead_bench.report.curves import draw_curves, rows_of
from lookahead_bench.report.settings import Problem, Setting, outcomes, problems
from lookahead_bench.report.summary_table import summary_table
from lookahead_bench.report.tables import Table
from lookahead_bench.runs.results import load_results, load_runs


def write(
    results_dir: str, only: Mapping[str, str], study: str | None = None, *, form: str = "term", every: bool = False
) -> None:
    """Write the tables and figures under <results_dir>/report/ and print the tables.

    only: {"dataset": ..., "scale": ..., "optimizer": NAME[,NAME...]} restricts the runs; study: to those done for it
    form: what is printed: term, md, tex or csv; the files are written in every form
    every: a line for each setting in numeric order; otherwise one a method, at the settings that validation chose
    Errors: RunError where there is nothing to report.
    """
    runs = runs_of(results_dir, only, study)
    directory = Path(results_dir) / "report"
    directory.mkdir(parents=True, exist_ok=True)
    tables = []
    said: dict[str, str] = {}  # of a table: which files there are
    for found in search_reports(results_dir, runs):
        written, lines = search.write(found, directory)
        tables.append(Table(found.name, f"{found.name}: a search", lines,
                            narrow=[str(c) for c in lines if c not in search.WIDE]))  # fmt: skip
        said[found.name] = written
    for task, some in groupby(problems(outcomes(runs)), key=lambda one: one.task):
        of = [one for one in some if one.settings]
        if not of:
            continue
        name = "-".join(str(part) for part in task if isinstance(part, str)) or "unreadable"
        table = summary_table(name, of, every=every)
        said[name] = table.save(directory)
        figure = curves(results_dir, of, directory / name, task, every=every)
        tables.append(table)
        said[name] += f" and {figure} .pdf" if figure else ""
    show(tables, said, form)


def runs_of(results_dir: str, only: Mapping[str, str], study: str | None) -> pd.DataFrame:
    """The runs to report, as `load_runs` gives them. Errors: RunError where there are none."""
    runs = load_runs(results_dir, study)
    for key, value in only.items():
        runs = runs.loc[runs[key].isin(value.split(","))] if key in runs else runs.iloc[:0]
    if runs.empty:
        these = f" of study {study}" if study else " of these" if only else ""
        raise RunError(f"results_dir={results_dir}: has no runs{these} to report; run some first")
    return runs


def show(tables: list[Table], said: Mapping[str, str], form: str) -> None:
    """On the terminal with where the files are; in the other forms the tables alone, for documents and programs."""
    out = console()
    if form == "csv":
        frames = [table.csv().assign(table=table.name) for table in tables]
        text = pd.concat([frame[["table", *frame.columns[:-1]]] for frame in frames]).to_csv(index=False)
        out.print(text, end="", soft_wrap=True)
        return
    for table in tables:
        if form == "term":
            out.print(table.terminal())
            for note in table.notes:
                out.print(note, style="dim")
            out.print(said[table.name], soft_wrap=True)
        else:
            out.print(table.markdown() if form == "md" else table.latex(), soft_wrap=True)


def search_reports(results_dir: str, runs: pd.DataFrame) -> list[search.Found]:
    """The searches among these runs."""
    ids = set(search.parts(runs)["run_id"])
    return list(search.searches(load_results(results_dir, only=ids))) if ids else []


def curves(results_dir: str, of: list[Problem], stem: Path, task: tuple[object, ...], *, every: bool) -> Path | None:
    """The curves of the settings that the table shows."""
    dataset, scale, model = task
    title = ", ".join(str(part) for part in (dataset, model, f"scale={scale}") if isinstance(part, str))
    variants, judged = {}, {}
    for one in of:
        for setting in one.settings if every else one.chosen:
            for run_id, kind in zip(setting.runs["run_id"], setting.runs["weights"], strict=True):
                variants[run_id], judged[run_id] = line_name(one, setting), kind
    rows = rows_of(results_dir, variants)
    return draw_curves(
        rows.assign(variant=rows["run_id"].map(variants), judged=rows["run_id"].map(judged)), stem, title
    )


def line_name(problem: Problem, setting: Setting) -> str:
    """The method, with its settings where others of it were tried, and the problem where there are others."""
    alone = sum(other.method == setting.method for other in problem.settings) == 1
    return " ".join(filter(None, (setting.method, "" if alone else setting.text(), problem.text)))

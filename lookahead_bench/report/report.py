"""`lookahead-bench report`: for each task and scale a table over optimizers, curves, and what the papers say."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pandas as pd

from lookahead_bench.errors import RunError
from lookahead_bench.report import search
from lookahead_bench.report.across import compare, draw_profile
from lookahead_bench.report.beside import Beside
from lookahead_bench.report.console import console
from lookahead_bench.report.curves import curve_rows, draw_curves
from lookahead_bench.report.published import beside
from lookahead_bench.report.sensitivity import draw_sensitivity
from lookahead_bench.report.settings import Problem, Setting, outcomes, problems
from lookahead_bench.report.summary_table import summary_table
from lookahead_bench.report.tables import Table
from lookahead_bench.report.targets import ToTarget, to_target
from lookahead_bench.report.verdicts import as_table, verdicts
from lookahead_bench.runs.results import load_results, load_runs


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: it would walk through millions of objects of stored runs, none of them garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@uncollected()
def write(
    results_dir: str, only: Mapping[str, str], study: str | None = None, *, form: str = "term", every: bool = False
) -> None:
    """Write the tables and figures under <results_dir>/report/, and print the tables.

    only: {"dataset": ..., "scale": ..., "optimizer": NAME[,NAME...]} restricts the runs; study: to those done for it,
    whose name the files' names begin with
    form: what is printed: term, md, tex or csv; the files are written in every form
    every: a line for each setting in numeric order; otherwise one a method, at the settings that validation chose
    Errors: RunError where there is nothing to report.
    """
    runs = runs_of(results_dir, only, study)
    directory = Path(results_dir, "report")
    directory.mkdir(parents=True, exist_ok=True)
    prefix = f"{study.replace('/', '-')}-" if study else ""
    tables = []
    said: dict[str, str] = {}  # of a table: which files there are
    for one in search_reports(results_dir, runs):
        said[one.name], lines = search.write(one, directory)
        narrow = [str(c) for c in lines if c not in search.WIDE]
        tables.append(Table(one.name, f"{one.name}: a search", lines, narrow=narrow))
    runs = outcomes(runs)
    compared: list[tuple[Problem, dict[str, ToTarget]]] = []
    drawn: dict[str, Beside[list[Path]]] = {}  # a quarter of the time, and done beside the rest
    for task, some in groupby((one for one in problems(runs) if one.settings), key=lambda one: one.task):
        of = list(some)
        name = "-".join(str(part) for part in task if isinstance(part, str)) or "unreadable"
        title = ", ".join(part for part in (task[0], task[2], f"scale={task[1]}") if isinstance(part, str))
        rows = rows_of(results_dir, of, every=every)
        for earlier in drawn.values():  # one at a time
            earlier.wait()
        drawn[name] = Beside(pictures, rows, of, directory / f"{prefix}{name}", title)
        costs = [to_target(one, rows) for one in of]
        compared += zip(of, costs, strict=True)
        table = summary_table(name, of, costs, every=every)
        tables.append(table)
        said[name] = table.save(directory / f"{prefix}{name}")
    if (found := compare(compared)) is not None:
        tables.append(found[0])
        stem = directory / f"{prefix}problems"
        said["problems"] = f"{found[0].save(stem)} and {draw_profile(found[1], stem)} .pdf"
    for table in of_papers(results_dir, runs, [one for one, _ in compared]):
        tables.append(table)
        said[table.name] = table.save(directory / f"{prefix}{table.name}")
    for name, figures in drawn.items():
        said[name] += "".join(f" and {figure} .pdf" for figure in figures.result())
    show(tables, said, form)


def pictures(rows: pd.DataFrame, of: list[Problem], stem: Path, title: str) -> list[Path]:
    """Draw the curves, and the score over each number that was swept; the PNGs' paths."""
    return [path for path in (draw_curves(rows, stem, title), *draw_sensitivity(of, stem, title)) if path]


def runs_of(results_dir: str, only: Mapping[str, str], study: str | None) -> pd.DataFrame:
    """The runs to report, as `load_runs` gives them. Errors: RunError where there are none."""
    runs = load_runs(results_dir, study)
    for key, value in only.items():
        runs = runs.loc[runs[key].isin(value.split(","))] if key in runs else runs.iloc[:0]
    if runs.empty:
        these = f" of study {study}" if study else " of these" if only else ""
        raise RunError(f"results_dir={results_dir}: has no runs{these} to report; run some first")
    return runs


def of_papers(results_dir: str, runs: pd.DataFrame, of: list[Problem]) -> list[Table]:
    """What the papers published beside ours, and what these runs (`outcomes`) say of their claims."""
    judged = verdicts(runs, lambda ids: load_results(results_dir, only=ids, splits=("val", "test")))
    return [table for table in (beside(of), as_table(judged)) if table is not None]


def show(tables: list[Table], said: Mapping[str, str], form: str) -> None:
    """On the terminal with where the files are; in the other forms the tables alone, for documents and programs."""
    out = console()
    if form == "csv":
        out.print("\n".join(table.csv().to_csv(index=False) for table in tables), end="", soft_wrap=True)
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


def rows_of(results_dir: str, of: list[Problem], *, every: bool) -> pd.DataFrame:
    """The rows of the settings that a table shows, with `variant`, what a curve of them is called, and `judged`, the
    weights that their method is judged by."""
    variants, judged = {}, {}
    for one in of:
        for setting in one.settings if every else one.chosen:
            for run_id, kind in zip(setting.runs["run_id"], setting.runs["weights"], strict=True):
                variants[run_id], judged[run_id] = line_name(one, setting), kind
    rows = curve_rows(results_dir, variants)
    return rows.assign(variant=rows["run_id"].map(variants), judged=rows["run_id"].map(judged))


def line_name(problem: Problem, setting: Setting) -> str:
    """The method, with its settings where others of it were tried, and the problem where there are others."""
    alone = sum(other.method == setting.method for other in problem.settings) == 1
    return " ".join(filter(None, (setting.method, "" if alone else setting.text(), problem.text)))

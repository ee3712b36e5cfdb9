"""`lookahead-bench report`: for each task and scale a table over optimizers (text, Markdown, CSV, LaTeX) and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.table import Table

from lookahead_bench.configuration.identity import NEUTRAL
from lookahead_bench.errors import RunError
from lookahead_bench.report import search
from lookahead_bench.report.console import console, table
from lookahead_bench.report.curves import draw_curves
from lookahead_bench.report.stats import mean
from lookahead_bench.report.tables import save
from lookahead_bench.runs.results import load_results

TASK = ["dataset", "scale", "model"]  # runs of different scales never share a table
NOT_SCIENTIFIC = (
    "run_id", "status", "git_revision", "samples_per_s", "replicas", "studies", "metric", "direction", "also", "seed",
    "step", "oracle_calls", "samples", "epoch", "seconds", "split", "weights",
)  # fmt: skip


def write(results_dir: str, only: Mapping[str, str], study: str | None = None) -> None:
    """Write the tables and figures under <results_dir>/report/ and print the tables.

    only: {"dataset": ..., "scale": ...} restricts the runs; study: to those that were done for it.
    Errors: RunError where there is nothing to report.
    """
    frame = load_results(results_dir, study=study)
    for key, value in only.items():
        frame = frame.loc[frame[key] == value] if key in frame else frame.iloc[:0]
    if frame.empty:
        these = f" of study {study}" if study else " of these" if only else ""
        raise RunError(f"results_dir={results_dir}: has no runs{these} to report; run some first")
    directory = Path(results_dir) / "report"
    directory.mkdir(parents=True, exist_ok=True)
    out = console()
    for found in search.searches(frame):
        written, lines = search.write(found, directory)
        out.print(as_rich(found.name, lines[[c for c in lines if c not in search.WIDE]], "a search"))
        out.print(written, soft_wrap=True)
    frame = frame[~frame["studies"].map(search.is_only_trial).astype(bool)]
    for task, runs in frame.groupby(TASK, dropna=False):
        name = "-".join(str(part) for part in task if isinstance(part, str)) or "unreadable"
        dataset, scale, model = task
        title = ", ".join(str(part) for part in (dataset, model, f"scale={scale}") if isinstance(part, str))
        runs = runs.assign(variant=variants(runs))
        summary = summarise(runs)
        save(directory / name, summary)
        out.print(as_rich(name, summary))
        figures = draw_curves(runs, directory / name, title)
        out.print(f"{directory / name}.md .csv .tex" + (f" and {figures} .pdf" if figures else ""),
                      soft_wrap=True)  # fmt: skip


def variants(frame: pd.DataFrame) -> pd.Series:
    """A name for each configuration up to the seed: the optimizer's, with what else differs between its runs."""
    columns = list(frame.columns)
    metrics = set(columns[columns.index("weights") + 1 :]) if "weights" in columns else set()
    keys = [c for c in frame.columns if c not in NOT_SCIENTIFIC and c not in metrics]
    runs = frame.drop_duplicates("run_id").set_index("run_id")[keys]
    runs = runs.fillna({k: v for k, v in NEUTRAL.items() if k in keys})  # what a run is that has been before the key
    names = {}
    # Another problem, or another rule of scoring, is told for every optimizer.
    problem = [k for k in keys if k.startswith("dataset.") or k == "batchnorm"]
    for optimizer, group in runs.groupby("optimizer", dropna=False):
        differing = [
            k for k in keys if k != "optimizer" and (runs if k in problem else group)[k].astype(str).nunique() > 1
        ]
        for run_id, row in group.iterrows():
            settings = (f"{k.removeprefix('optimizer.')}={shown(row[k])}" for k in differing)
            names[run_id] = " ".join([str(optimizer), *settings])
    return frame["run_id"].map(names)


def shown(value: object) -> object:
    """A column of whole numbers with a gap in it holds floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """One line a variant: counts by status, and the headline score at the end, with its 95 % interval over seeds.

    Of every kind of weights; of those that the method is evaluated with, what the task names under `also` too.
    """
    metric = runs["metric"].dropna().iloc[0] if runs["metric"].notna().any() else "loss"
    if metric not in runs:
        runs = runs.assign(**{metric: math.nan})
    higher = runs["direction"].dropna().eq("max").any()
    also = [name for name in next(iter(runs["also"].dropna()), ()) if name in runs]
    every = runs["weights"].dropna().unique() if "weights" in runs else ()
    lines = []
    for variant, group in runs.groupby("variant", sort=False):
        per_run = group.drop_duplicates("run_id")
        counts = per_run["status"].value_counts()
        line: dict[str, object] = {"optimizer": variant, "runs": len(per_run)}
        done = group[group["status"] == "done"]
        for split in [s for s in ("test", "val") if "split" in done and (done["split"] == s).any()]:
            rows = done[done["split"] == split]
            last = rows[rows["step"] == rows.groupby("run_id")["step"].transform("max")]
            kinds = list(last["weights"].unique())[::-1]  # what the method is evaluated with is scored last
            scored = {k: mean(last.loc[last["weights"] == k, metric].tolist()) for k in kinds}
            if split == "test" or not (done["split"] == "test").any():
                line[f"{split} {metric}"] = scored[kinds[0]].text(metric)
                line["weights"] = kinds[0]
                for kind in every:
                    line[f"of the {kind} weights"] = scored[kind].text(metric) if kind in kinds[1:] else ""
                for name in also:
                    line[f"{split} {name}"] = mean(last.loc[last["weights"] == kinds[0], name].tolist()).text(name)
            if split == "val":
                chosen = rows[rows["weights"] == kinds[0]].groupby("run_id")[metric].agg("max" if higher else "min")
                line[f"best val {metric}"] = mean(chosen.tolist()).text(metric)
        line |= {status: int(counts.get(status, 0)) for status in ("diverged", "failed", "interrupted", "running")}
        if len(done):
            line["oracle calls"] = int(done.groupby("run_id")["oracle_calls"].max().mean())
            line["train seconds"] = round(float(done.groupby("run_id")["seconds"].max().mean()), 1)
        lines.append(line)
    columns = dict.fromkeys(c for line in lines for c in line if any(other.get(c) for other in lines))
    return pd.DataFrame([{c: line.get(c, "") for c in columns} for line in lines])


def as_rich(title: str, values: pd.DataFrame, what: str = "mean over seeds ± 95 % interval") -> Table:
    shown = table(f"{title}: {what}")
    for column in values.columns:
        shown.add_column(str(column), justify="left" if column in ("optimizer", "method", "chosen") else "right")
    for row in values.astype(str).itertuples(index=False):
        shown.add_row(*row)
    return shown

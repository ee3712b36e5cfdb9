"""Learning curves over oracle calls, one line a variant: the mean over seeds and the band between the extremes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from lookahead_bench.report import plotting
from lookahead_bench.report.plotting import Look
from lookahead_bench.runs.results import load_results

LABEL = 60  # characters in the legend: a longer one is wider than the column
MARKERS = "os^vDp<>hX*Pd8"
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def curve_rows(results_dir: str, runs: Container[str]) -> pd.DataFrame:
    """The rows that curves of these runs are drawn from: the evaluations, or all where those are at the ends only."""
    scored = load_results(results_dir, only=runs, splits=("val", "test"))
    return scored if "step" in scored and scored["step"].nunique() > 2 else load_results(results_dir, only=runs)


def draw_curves(runs: pd.DataFrame, stem: Path, title: str) -> Path | None:
    """Draw the headline score; returns the PNG's path, or None where there are no curves.

    runs: their rows, with `variant`, a line's name, and `judged`, the weights that its method is judged by.
    On the split for choosing, or, where that is scored at the ends only (toy tasks), from the training rows.
    """
    if "split" not in runs or not runs["metric"].notna().any():
        return None
    metric = runs["metric"].dropna().iloc[0]
    if metric not in runs:  # all runs have failed before their first score
        return None
    scored = runs[runs[metric].notna() & (runs["status"] == "done")]
    counts = {split: scored.loc[scored["split"] == split, "step"].nunique() for split in ("val", "test", "train")}
    split = next((s for s, n in counts.items() if n > 2), next((s for s, n in counts.items() if n), None))
    if split is None:
        return None
    rows = scored[scored["split"] == split]
    judged = rows[rows["weights"] == rows["judged"]]
    kinds = (judged if split != "train" else rows).groupby("variant")["weights"].last()
    labels = [shortened(name if kind == "fast" else f"{name} ({kind})") for name, kind in kinds.items()]
    columns = max(1, int(plotting.WIDTH / (0.45 + 0.045 * max(map(len, labels)))))  # inches, of a line and a letter
    with plt.rc_context(plotting.STYLE):
        figure, (ax,) = plotting.axes(height=2.2 + 0.12 * -(-len(labels) // columns))
        drawn = [rows[(rows["variant"] == variant) & (rows["weights"] == kinds[variant])] for variant in kinds.index]
        if metric == "perplexity":  # an untrained network's would flatten what is to be compared
            drawn = [one[one["step"] > 0] for one in drawn]
        for mine, look, label in zip(drawn, looks([one["optimizer"].iloc[0] for one in drawn]), labels, strict=True):
            plotting.curve(ax, mine, metric, look, label=label)
        scale(ax, drawn, metric)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.set_xlabel("oracle calls")
        ax.set_ylabel(metric if split == "train" else f"{split} {metric}")
        plotting.panel_title(ax, title)
        plotting.legend(figure, [ax], columns)
        figure.supxlabel(caption(runs, drawn), fontsize=6, color="#555555")
        return plotting.save(figure, stem)


def looks(methods: Sequence[str]) -> list[Look]:
    """One for each variant: its method's colour, paler for each further setting of it, and a marker of its own."""
    found: list[Look] = []
    for i, method in enumerate(methods):
        look = plotting.look(method)
        used = [one.marker for one in found]
        if look.marker in used:
            look = look._replace(marker=min(MARKERS, key=used.count), line=LINES[i % len(LINES)])
        if earlier := methods[:i].count(method):
            look = look._replace(colour=plotting.paler(look.colour, 0.6 * earlier / methods.count(method)))
        found.append(look)
    return found


def scale(ax: Axes, drawn: Sequence[pd.DataFrame], metric: str) -> None:
    """Powers of ten where the values span many; an accuracy from where the curves part."""
    values = pd.concat(drawn)[metric]
    if values.min() > 0 and values.max() > 30 * values.min():
        ax.set_yscale("log")
    if metric == "accuracy":  # the start would flatten what is to be compared
        means = [one.groupby("oracle_calls")[metric].mean() for one in drawn]
        lowest = min(mean.iloc[len(mean) // 4 :].min() for mean in means)
        ax.set_ylim(max(0.0, lowest - 0.05), min(1.0, values.max() + 0.01))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def caption(runs: pd.DataFrame, drawn: Sequence[pd.DataFrame]) -> str:
    """What a line and its band are, over how many seeds, and what is not drawn."""
    counts = sorted({one["run_id"].nunique() for one in drawn})
    several = " to ".join(map(str, counts[:: max(1, len(counts) - 1)]))
    seeds = "one seed" if counts == [1] else f"mean of {several} seeds"
    band = "" if counts == [1] else "; band: the extreme seeds"
    lost = runs.loc[runs["status"] == "diverged", "run_id"].nunique()
    return f"{seeds}{band}" + (f"; {lost} diverged, not drawn" if lost else "")


def shortened(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"

"""Learning curves over oracle calls, one line a variant: the mean over seeds and the band between the extremes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from lookahead_bench.report.plotting import save  # which takes the backend that needs no screen

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")  # Okabe and Ito
LABEL = 60  # characters in the legend: a longer one leaves the curves no room
LINES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42, "savefig.dpi": 200,
    "figure.constrained_layout.use": True, "legend.frameon": False,
}  # fmt: skip


def draw_curves(runs: pd.DataFrame, stem: Path, title: str) -> Path | None:
    """Draw the headline score; returns the PNG's path, or None where there are no curves.

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
    kinds = rows.groupby("variant")["weights"].agg(lambda w: w.unique()[-1])  # what the method is evaluated with
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, max(2.8, 0.2 * len(kinds))))  # the legend has a line for each
        lowest = []
        for i, variant in enumerate(kinds.index):
            mine = rows[(rows["variant"] == variant) & (rows["weights"] == kinds[variant])]
            curve = mine.groupby("oracle_calls")[metric].agg(["mean", "min", "max"])
            label = variant if kinds[variant] == "fast" else f"{variant} ({kinds[variant]})"
            label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
            colour, line = COLOURS[i % len(COLOURS)], LINES[(i // len(COLOURS)) % len(LINES)]
            axes.plot(curve.index, curve["mean"], label=label, linewidth=1.4, color=colour, linestyle=line)
            axes.fill_between(curve.index, curve["min"], curve["max"], alpha=0.15, linewidth=0, color=colour)
            lowest.append(curve["mean"].iloc[len(curve) // 4 :].min())
        if rows[metric].min() > 0 and rows[metric].max() > 1000 * rows[metric].min():
            axes.set_yscale("log")
        if metric == "accuracy" and lowest:  # the start would flatten what is to be compared
            axes.set_ylim(max(0.0, min(lowest) - 0.05), min(1.0, rows[metric].max() + 0.01))
        axes.set_xlabel("oracle calls")
        axes.set_ylabel(metric if split == "train" else f"{split} {metric}")
        axes.set_title(title, loc="left")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return save(figure, stem)

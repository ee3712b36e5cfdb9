"""Lookahead-Minmax 2021: the stochastic bilinear game at four batch sizes, with the notebook's settings and its Adam.

On the left the notebook's axis, on the right the logarithm. Its SVRE, which it draws at batch size 1, is missing: it
goes back to gradients of the whole data at random times, which no operator here does.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

SIZES = (100, 64, 16, 1)
LOOKS = {
    "lookahead": plot.LOOKS["la_gda"]._replace(label="LA-GDA, fast", line=":", marker=""),
    "extragradient": plot.LOOKS["extragradient"],
    "extra_adam": plot.LOOKS["extra_adam"],
    "adam": plot.LOOKS["adam"],
}
SLOW = plot.LOOKS["la_gda"]._replace(label="LA-GDA, slow at syncs")


def runs_of(frame: pd.DataFrame, method: str, size: int) -> pd.DataFrame:
    parts = frame["part"].str.replace(r"_b\d+$", "", regex=True)
    return frame[(parts == method) & (frame["dataset.batch_size"] == size)]


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """On the full batch every method but Adam's multiplies the distance by a known factor."""
    found = []
    for method in ("lookahead", "extragradient"):
        run = plot.train(runs_of(frame, method, 100))
        lr = float(run["optimizer.lr"].iloc[0])
        if method == "lookahead":
            steps, alpha = int(run["optimizer.k"].iloc[0]), float(run["optimizer.alpha"].iloc[0])
            factor = theory.lookahead(theory.gda(-1j, lr), steps, alpha)
        else:
            steps, factor = 1, theory.eg(-1j, lr)
        means = run[(run["step"] % steps == 0) & (run["step"] <= 20 * steps)].groupby("step")["distance"].mean()
        measured = float((means.iloc[-1] / means.iloc[0]) ** (1 / (len(means) - 1)))
        label = plot.LOOKS["la_gda" if method == "lookahead" else method].label
        quantity = "factor per step" if steps == 1 else f"factor per cycle of {steps}"
        found.append(Comparison(f"bilinear, full batch, lr {lr:g}", label, quantity, measured, abs(factor)))
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 4, height=5.6)
    for i, size in enumerate(SIZES):
        linear, log = panels[2 * i : 2 * i + 2]
        for ax in (linear, log):
            draw_size(ax, frame, size)
        linear.set_ylim(-1, 40)  # the notebook's
        log.set_yscale("log")
        plot.log_ticks(log)
        linear.set_ylabel("distance to the solution")
        plot.panel_title(linear, f"({'abcd'[i]}) {'full batch' if size == 100 else f'batch size {size}'}")
    for ax in panels[-2:]:
        ax.set_xlabel("oracle calls")
    plot.legend(figure, panels, 3)
    return figure


def draw_size(ax: Any, frame: pd.DataFrame, size: int) -> None:
    for name, look in LOOKS.items():
        plot.curve(ax, plot.train(runs_of(frame, name, size)), "distance", look, markers=4)
    plot.curve(ax, at_syncs(runs_of(frame, "lookahead", size)), "distance", SLOW)
    if size < 100:
        ax.set_xticks([0, 10000, 20000], ["0", "10k", "20k"])


def at_syncs(runs: pd.DataFrame) -> pd.DataFrame:
    """The slow weights, which these runs score at every sync."""
    return runs[(runs["split"] == "test") & (runs["weights"] == "slow")]

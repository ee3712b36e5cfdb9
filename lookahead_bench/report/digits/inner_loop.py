"""Within the inner loop: the fast weights' accuracy after every step, and that of the slow weights that they left."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from lookahead_bench.report import plotting as plot
from lookahead_bench.report.plotting import Look

CYCLES = 3  # the last ones
LOOKS = {"fast": Look("fast weights", "#D55E00", "o", "-"), "slow": Look("slow weights", "#0072B2", "s", "--")}


def draw(frame: pd.DataFrame) -> Figure:
    alphas = sorted(frame["optimizer.alpha"].unique())
    figure, panels = plot.axes(len(alphas), width=2 * plot.WIDTH, height=2.2, sharey=True)
    scored = frame[frame["split"] == "val"]
    for ax, alpha in zip(panels, alphas, strict=True):
        mine = scored[scored["optimizer.alpha"] == alpha]
        k = int(mine["optimizer.k"].iloc[0])
        panel(ax, mine[mine["step"] >= mine["step"].max() - CYCLES * k], k)
        plot.panel_title(ax, f"alpha = {alpha:g}")
    panels[0].set_ylabel("validation accuracy")
    plot.legend(figure, panels, 2)
    seeds = frame["run_id"].nunique() // len(alphas)
    figure.supxlabel(f"mean of {seeds} seeds ± its standard error; grey: syncs", fontsize=6, color="#555555")
    return figure


def panel(ax: Axes, rows: pd.DataFrame, k: int) -> None:
    for kind, look in LOOKS.items():
        found = rows[rows["weights"] == kind].groupby("step")["accuracy"].agg(["mean", "sem"])
        low, high = found["mean"] - found["sem"], found["mean"] + found["sem"]
        stays = kind == "slow"  # until the next sync
        ax.plot(found.index, found["mean"], color=look.colour, linestyle=look.line, marker=look.marker,
                drawstyle="steps-post" if stays else "default", markersize=2.2, markerfacecolor="white",
                markeredgewidth=0.7, label=look.label)  # fmt: skip
        ax.fill_between(found.index, low, high, step="post" if stays else None, color=look.colour, alpha=0.15,
                        linewidth=0)  # fmt: skip
    for sync in range(int(rows["step"].min()), int(rows["step"].max()) + 1, k):
        ax.axvline(sync, color="#BBBBBB", linewidth=0.5, zorder=0)
    ax.xaxis.set_major_locator(MultipleLocator(k))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set_xlabel("steps")

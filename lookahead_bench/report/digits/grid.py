"""k and alpha: the slow weights' accuracy on the test images at the end of every combination."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot


def draw(frame: pd.DataFrame) -> Figure:
    ends = plot.final(frame, "slow")
    found = ends.groupby(["optimizer.alpha", "optimizer.k"])["accuracy"].agg(["mean", "std", "size"])
    table = found["mean"].unstack()
    mean, deviation = 100 * table.to_numpy(), 100 * found["std"].unstack().to_numpy()
    figure, (ax,) = plot.axes(height=2.4)
    ax.imshow(mean, origin="lower", aspect="auto", cmap="cividis")
    middle = (mean.min() + mean.max()) / 2
    for (i, j), value in np.ndenumerate(mean):
        colour = "white" if value < middle else "black"
        ax.text(j, i, f"{value:.1f}\n± {deviation[i, j]:.1f}", ha="center", va="center", fontsize=6, color=colour)
    ax.set_xticks(range(len(table.columns)), [f"{k:g}" for k in table.columns])
    ax.set_yticks(range(len(table.index)), [f"{alpha:g}" for alpha in table.index])
    ax.set_xlabel("k")
    ax.set_ylabel("alpha (1: the base alone)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    plot.panel_title(ax, f"test accuracy in %, mean ± standard deviation of {found['size'].min()} seeds")
    return figure

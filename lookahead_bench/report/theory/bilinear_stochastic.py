"""Lookahead-Minmax 2021: the stochastic bilinear game at four batch sizes (no Unrolled, SVRE, nor negative beta1)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot

SIZES = (100, 64, 16, 1)
METHODS = ("la_gda", "extragradient", "extra_adam", "adam")


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 2, height=3.2)
    frame = plot.train(frame)
    for i, (ax, size) in enumerate(zip(panels, SIZES, strict=True)):
        for name in METHODS:
            mine = frame[(frame["optimizer"] == name) & (frame["dataset.batch_size"] == size)]
            if len(mine):
                plot.curve(ax, mine, "distance", plot.LOOKS[name], markers=6)
        ax.set_yscale("log")
        plot.log_ticks(ax)
        if size < 100:
            ax.set_xticks([0, 10000, 20000], ["0", "10k", "20k"])
        plot.panel_title(ax, f"({'abcd'[i]}) {'full batch' if size == 100 else f'batch size {size}'}")
        if i % 2 == 0:
            ax.set_ylabel("distance to the solution")
        if i > 1:
            ax.set_xlabel("oracle calls")
    plot.legend(figure, panels, 4)
    return figure

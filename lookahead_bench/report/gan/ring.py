"""GANs on a ring of Gaussians: samples of one seed, and over many seeds the modes found and the distance."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from lookahead_bench.report import plotting as plot

SPREAD = 0.3  # of an optimizer's dots to either side


def draw(frame: pd.DataFrame) -> Figure:
    methods = plot.methods(frame)
    ends = plot.judged(frame).groupby("run_id").tail(1)
    figure = plt.figure(figsize=(2 * plot.WIDTH, 2.6))
    grid = figure.add_gridspec(2, len(methods), height_ratios=[1, 1.2])
    distances = figure.add_subplot(grid[1, :])
    for column, name in enumerate(methods):
        mine, look = ends[ends["optimizer"] == name], plot.LOOKS[name]
        seeds = mine[mine["part"] == "replicas"]
        ax = figure.add_subplot(grid[0, column])
        plot.picture(ax, mine[mine["part"] == "pictures"].iloc[0])
        found = plot.outcome(seeds, "modes").replace(", ", "\n")
        ax.set_title(f"{look.label}\n{found}\nof {seeds['dataset.modes'].iloc[0]} modes", fontsize=6, pad=3)
        place = column + np.linspace(-SPREAD, SPREAD, len(seeds))
        distances.plot(place, seeds["sliced_wasserstein"], ".", color=look.colour, markersize=3, alpha=0.7)
        distances.hlines(seeds["sliced_wasserstein"].median(), *place[[0, -1]], color=look.colour, linewidth=1.5)
    distances.axhline(ends["sliced_wasserstein_floor"].iloc[0], color="#777777", linestyle="--", linewidth=0.8)
    distances.set_yscale("log")
    distances.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    distances.yaxis.set_major_formatter("{x:g}")
    distances.yaxis.set_minor_locator(NullLocator())
    distances.set_ylabel("sliced Wasserstein\n(dashed: real samples)")
    distances.set_xlim(-0.5, len(methods) - 0.5)
    distances.set_xticks([])
    return figure

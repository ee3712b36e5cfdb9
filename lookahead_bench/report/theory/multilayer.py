"""Multilayer Lookahead 2021: the amplified implicit regularisation, and the squared gradient under a 1/sqrt(t) rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot

N, ALPHA = 10, 0.5
LAYERS: dict[str, tuple[Any, int]] = {"sgd": (1, 0), "lookahead": (10, 1), "multilayer": ([10, 5], 2)}
RATE_LAYERS: dict[str, tuple[Any, Any]] = {"sgd": (1, 1.0), "lookahead": (5, 0.5), "multilayer": ([5, 5], 0.5)}


def draw(frame: pd.DataFrame) -> Figure:
    figure, (drift, rate) = plot.axes(2, height=2.0)
    draw_drift(drift, plot.final(frame[frame["part"] != "rate"]))
    draw_rate(rate, plot.train(frame[frame["part"] == "rate"]))
    plot.legend(figure, [drift], 3)
    return figure


def draw_drift(ax: Any, ends: pd.DataFrame) -> None:
    """-log(x_T / x_0) for each unit of effective time, alpha^layers lr T; the loss itself is flat."""
    grid = np.geomspace(0.01, 0.12, 100)
    for name, (k, depth) in LAYERS.items():
        look, weight = plot.LOOKS[name], ALPHA**depth
        lr = grid / weight
        epoch = (1 - lr**2) ** (N / 2)
        if depth == 0:
            m, steps = epoch, N
        else:  # the innermost layer's cycle is one epoch
            m = np.array([theory.lookahead(e, [1, *(k[1:] if isinstance(k, list) else [])], ALPHA).real for e in epoch])
            steps = int(np.prod(k))
        plot.line(ax, grid, -np.log(m) / (steps * grid), look)
        mine = ends[ends["optimizer"] == name].sort_values("optimizer.lr")
        effective = weight * mine["optimizer.lr"]
        plot.points(ax, effective, -np.log(mine["distance"]) / (mine["step"] * effective), look, label=look.label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.01, 0.03, 0.1], ["0.01", "0.03", "0.1"])
    ax.minorticks_off()
    ax.set_xlabel("effective learning rate")
    ax.set_ylabel("drift per effective time")
    plot.panel_title(ax, "(a) flat loss")


def draw_rate(ax: Any, frame: pd.DataFrame) -> None:
    dim = int(frame["dataset.dim"].iloc[0])
    curvature = 1 / np.arange(1.0, dim + 1)
    steps = int(frame["step"].max())
    t = np.arange(1, steps + 1)
    for name, (k, alpha) in RATE_LAYERS.items():
        look = plot.LOOKS[name]
        path = theory.noisy_path(curvature, 1 / curvature, t**-0.5, k, alpha, np.ones(dim))
        plot.line(ax, t, np.cumsum((curvature**2 * path).sum(1)) / t, look)
        mine = frame[(frame["optimizer"] == name) & (frame["step"] > 0)]
        squared = (mine["operator_norm"] ** 2).groupby(mine["step"]).mean().to_numpy()
        found = np.cumsum(squared) / t
        shown = np.unique(np.geomspace(5, steps, 8).astype(int)) - 1
        plot.points(ax, t[shown], found[shown], look)
    top = 0.9
    ax.plot(t[49:], top * (t[49:] / 50) ** -0.5, color="#777777", linestyle=":", linewidth=0.8)
    ax.annotate(r"$T^{-1/2}$", (t[199], top / 2), fontsize=6, color="#555555", ha="left", va="bottom")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("oracle calls T")
    ax.set_ylabel("mean squared gradient")
    plot.panel_title(ax, r"(b) rate $1/\sqrt{t}$")

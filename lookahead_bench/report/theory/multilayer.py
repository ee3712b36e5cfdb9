"""Multilayer Lookahead 2021: the amplified implicit regularisation, and the squared gradient under a 1/sqrt(t) rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

N, ALPHA = 10, 0.5
LAYERS: dict[str, tuple[Any, int]] = {"sgd": (1, 0), "lookahead": (10, 1), "multilayer": ([10, 5], 2)}
RATE_LAYERS: dict[str, tuple[Any, Any]] = {"sgd": (1, 1.0), "lookahead": (5, 0.5), "multilayer": ([5, 5], 0.5)}


def draw(frame: pd.DataFrame) -> Figure:
    figure, (drift, rate) = plot.axes(2, height=2.0)
    draw_drift(drift, plot.final(frame[frame["part"] != "rate"]))
    draw_rate(rate, plot.train(frame[frame["part"] == "rate"]))
    plot.legend(figure, [drift], 3)
    return figure


def drift(name: str, effective: float) -> float:
    """-log(x_T / x_0) for each unit of effective time, alpha^layers lr T; the loss itself is flat."""
    k, depth = LAYERS[name]
    epoch = (1 - (effective / ALPHA**depth) ** 2) ** (N / 2)
    if depth == 0:
        return float(-np.log(epoch) / (N * effective))
    outer = k[1:] if isinstance(k, list) else []  # the innermost layer's cycle is one epoch
    return float(-np.log(theory.lookahead(epoch, [1, *outer], ALPHA).real) / (np.prod(k) * effective))


def measured_drift(ends: pd.DataFrame, name: str) -> dict[float, float]:
    """The same of the runs, by effective learning rate."""
    mine = ends[ends["optimizer"] == name].sort_values("optimizer.lr")
    effective = ALPHA ** LAYERS[name][1] * mine["optimizer.lr"]
    found = -np.log(mine["distance"]) / (mine["step"] * effective)
    return dict(zip(effective, found, strict=True))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    ends = plot.final(frame[frame["part"] != "rate"])
    drifts = [
        Comparison(f"flat finite sum, effective lr {effective:g}", plot.LOOKS[name].label, "drift", value,
                   drift(name, effective))
        for name in LAYERS
        for effective, value in measured_drift(ends, name).items()
    ]  # fmt: skip
    rows = plot.train(frame[frame["part"] == "rate"])
    steps = int(rows["step"].max())
    means = []
    for name in RATE_LAYERS:
        mine = rows[(rows["optimizer"] == name) & (rows["step"] > 0)]
        seeds = (mine["operator_norm"] ** 2).groupby(mine["run_id"]).mean()
        means.append(
            Comparison("noisy quadratic, rate 1/sqrt(t)", plot.LOOKS[name].label,
                       f"mean squared gradient, {steps} steps", seeds.mean(), squared_gradient(rows, name)[-1],
                       float(seeds.std(ddof=1) / len(seeds) ** 0.5))
        )  # fmt: skip
    return [*drifts, *means]


def draw_drift(ax: Any, ends: pd.DataFrame) -> None:
    grid = np.geomspace(0.01, 0.12, 100)
    for name in LAYERS:
        look = plot.LOOKS[name]
        plot.line(ax, grid, [drift(name, effective) for effective in grid], look)
        found = measured_drift(ends, name)
        plot.points(ax, list(found), list(found.values()), look, label=look.label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.01, 0.03, 0.1], ["0.01", "0.03", "0.1"])
    ax.minorticks_off()
    ax.set_xlabel("effective learning rate")
    ax.set_ylabel("drift per effective time")
    plot.panel_title(ax, "(a) flat loss")


def squared_gradient(frame: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The closed form of the mean over t = 1 ... T of E|grad|^2, for T = 1, 2, ..."""
    dim, t = int(frame["dataset.dim"].iloc[0]), np.arange(1, int(frame["step"].max()) + 1)
    curvature = 1 / np.arange(1.0, dim + 1)
    path = theory.noisy_path(curvature, 1 / curvature, t**-0.5, *RATE_LAYERS[name], np.ones(dim))
    return np.cumsum((curvature**2 * path).sum(1)) / t


def draw_rate(ax: Any, frame: pd.DataFrame) -> None:
    steps = int(frame["step"].max())
    t = np.arange(1, steps + 1)
    for name in RATE_LAYERS:
        look = plot.LOOKS[name]
        plot.line(ax, t, squared_gradient(frame, name), look)
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

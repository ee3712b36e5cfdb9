"""Lookahead 2019: convergence rate against the condition number; the smallest and the largest curvature suffice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

LR, K, ALPHA = 1.0, 20, 0.5
LABELS = {"gd": "gradient descent", "heavy_ball": "momentum 0.99", "lookahead": "Lookahead over it"}
BASE = {"base": {"_target_": "torch.optim.SGD"}, "wrappers": [], "lr": LR, "momentum": 0.99}
NODES = {
    "gd": BASE | {"momentum": 0.0},
    "heavy_ball": BASE,
    "lookahead": BASE | {"k": K, "alpha": ALPHA, "wrappers": [{"_target_": "lookahead_bench.optim.Lookahead"}]},
}
STYLES = {"gd": plot.LOOKS["sgd"], "heavy_ball": plot.LOOKS["extragradient"], "lookahead": plot.LOOKS["lookahead"]}


def factor(method: str, condition: float) -> float:
    return theory.factor(NODES[method], np.diag([1 / condition, 1.0]))


def measured(frame: pd.DataFrame, method: str) -> dict[float, float]:
    """Condition number -> factor per step."""
    frame = plot.train(frame)
    names = np.select(
        [frame["optimizer"] == "lookahead", frame["optimizer.momentum"] > 0], ["lookahead", "heavy_ball"], "gd"
    )
    steps, order = K if method == "lookahead" else 1, 1 if method == "gd" else 2
    runs = frame[names == method].groupby("dataset.condition")
    return {float(condition): slowest(run, steps, order) for condition, run in runs}


def slowest(run: pd.DataFrame, steps: int, order: int) -> float:
    """The factor per step of the slower of the two coordinates, from the recurrence that each obeys."""
    rows = run.sort_values("step").iloc[::steps].head(3 * order + 3)
    factors = [plot.recurrence(rows[name], order) for name in ("x", "y") if rows[name].abs().min() > 0]
    return float(max(factors) ** (1 / steps))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    return [
        Comparison(f"quadratic, condition {condition:g}", LABELS[method], "factor per step", value,
                   factor(method, condition))
        for method in NODES
        for condition, value in measured(frame, method).items()
    ]  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    figure, (ax,) = plot.axes(height=2.2)
    grid = np.geomspace(2, 2e5, 300)
    for method, look in STYLES.items():
        plot.line(ax, grid, [1 - factor(method, condition) for condition in grid], look)
        found = measured(frame, method)
        plot.points(ax, list(found), [1 - value for value in found.values()], look, label=LABELS[method])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("condition number")
    ax.set_ylabel("rate, 1 - factor per oracle call")
    plot.legend(figure, [ax], 3)
    return figure

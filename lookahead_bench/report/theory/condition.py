"""Lookahead 2019: convergence rate against the condition number; the smallest and the largest curvature suffice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot

LR, K, ALPHA = 1.0, 20, 0.5
LABELS = {"gd": "gradient descent", "heavy_ball": "momentum 0.99", "lookahead": "Lookahead over it"}
BASE = {"base": {"_target_": "torch.optim.SGD"}, "wrappers": [], "lr": LR, "momentum": 0.99}
NODES = {
    "gd": BASE | {"momentum": 0.0},
    "heavy_ball": BASE,
    "lookahead": BASE | {"k": K, "alpha": ALPHA, "wrappers": [{"_target_": "lookahead_bench.optim.Lookahead"}]},
}
STYLES = {"gd": plot.LOOKS["sgd"], "heavy_ball": plot.LOOKS["extragradient"], "lookahead": plot.LOOKS["lookahead"]}


def draw(frame: pd.DataFrame) -> Figure:
    figure, (ax,) = plot.axes(height=2.2)
    frame = plot.train(frame)
    frame = frame.assign(
        method=np.select(
            [frame["optimizer"] == "lookahead", frame["optimizer.momentum"] > 0], ["lookahead", "heavy_ball"], "gd"
        )
    )
    grid = np.geomspace(2, 2e5, 300)
    for method, look in STYLES.items():
        rates = [1 - theory.factor(NODES[method], np.diag([1 / c, 1.0])) for c in grid]
        plot.line(ax, grid, rates, look)
        found = {
            condition: 1 - measured(run, K if method == "lookahead" else 1, 1 if method == "gd" else 2)
            for condition, run in frame[frame["method"] == method].groupby("dataset.condition")
        }
        plot.points(ax, list(found), list(found.values()), look, label=LABELS[method])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("condition number")
    ax.set_ylabel("rate, 1 - factor per oracle call")
    plot.legend(figure, [ax], 3)
    return figure


def measured(run: pd.DataFrame, steps: int, order: int) -> float:
    """The factor per step of the slower of the two coordinates, from the recurrence that each obeys."""
    rows = run.sort_values("step").iloc[::steps].head(3 * order + 3)
    factors = [plot.recurrence(rows[name], order) for name in ("x", "y") if rows[name].abs().min() > 0]
    return float(max(factors) ** (1 / steps))

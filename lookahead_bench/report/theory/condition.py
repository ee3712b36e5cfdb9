"""Lookahead 2019: convergence rate against the condition number, of two curvatures and of the whole spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

LR, K, ALPHA, MOMENTUM = 1.0, 20, 0.5, 0.99
LABELS = {"gd": "gradient descent", "heavy_ball": "momentum 0.99", "lookahead": "Lookahead over it"}
BASE = {"base": {"_target_": "torch.optim.SGD"}, "wrappers": [], "lr": LR, "momentum": MOMENTUM}
NODES = {
    "gd": BASE | {"momentum": 0.0},
    "heavy_ball": BASE,
    "lookahead": BASE | {"k": K, "alpha": ALPHA, "wrappers": [{"_target_": "lookahead_bench.optim.Lookahead"}]},
}
STYLES = {"gd": plot.LOOKS["sgd"], "heavy_ball": plot.LOOKS["extragradient"], "lookahead": plot.LOOKS["lookahead"]}
TUNED = {10: 0.02006, 100: 0.02315, 1000: 0.0877, 10000: 0.3788}  # Lookahead's best lr over the whole spectrum

Array = np.ndarray[Any, np.dtype[Any]]


# ------------------------------------------------------------------------------------------------- closed forms


def factor(method: str, condition: float) -> float:
    """Of the smallest and the largest curvature alone."""
    return theory.factor(NODES[method], np.diag([1 / condition, 1.0]))


def every_factor(method: str, curvature: Array) -> Array:
    """Per step, at lr = 1; at another lr it is that of lr x curvature."""
    if method == "gd":
        return np.asarray(np.abs(1 - curvature))
    k, alpha = (K, ALPHA) if method == "lookahead" else (1, 1.0)
    return theory.lookahead_heavy_ball(curvature, 1.0, MOMENTUM, k, alpha)


def whole(method: str, conditions: Array) -> tuple[Array, Array]:
    """The slowest curvature's factor in [1 / condition, 1], at lr = 1 and at the best lr of each condition.

    Both are the largest over a window of lr x curvature, whose width in the logarithm the condition says.
    """
    stable = 2 * (1 + MOMENTUM) if method != "gd" else 2.0
    grid = np.geomspace(1e-9, stable, 60001)
    at_one, factors = int(np.searchsorted(grid, 1.0)), every_factor(method, grid)
    widths = np.rint(np.log(conditions) / np.log(grid[1] / grid[0])).astype(int)
    windows = [np.lib.stride_tricks.sliding_window_view(factors, width + 1) for width in widths]
    best = [min(window[::50].max(-1)) for window in windows]  # an lr in a hundred, not exactly the best
    return np.array([factors[at_one - width : at_one + 1].max() for width in widths]), np.array(best)


# ------------------------------------------------------------------------------------------------------ measured


def measured(frame: pd.DataFrame, method: str) -> dict[float, float]:
    """Condition number -> factor per step, of the slower of the two coordinates."""
    return {condition: max(found.values()) for condition, found in coordinates(frame, method).items()}


def coordinates(frame: pd.DataFrame, method: str) -> dict[float, dict[float, float]]:
    """Condition number -> lr x curvature -> factor per step."""
    frame = plot.train(frame)
    names = np.select(
        [frame["optimizer"] == "lookahead", frame["optimizer.momentum"] > 0], ["lookahead", "heavy_ball"], "gd"
    )
    steps, order = K if method == "lookahead" else 1, 1 if method == "gd" else 2
    found = {}
    for condition, run in frame[names == method].groupby("dataset.condition"):
        rows = run.sort_values("step").iloc[::steps].head(3 * order + 3)  # each obeys a linear recurrence
        found[float(condition)] = {
            c: float(plot.recurrence(rows[x], order) ** (1 / steps))
            for x, c in (("x", 1 / condition), ("y", 1.0))
            if rows[x].abs().min() > 0
        }
    return found


def slowest(frame: pd.DataFrame, method: str, condition: float, lr: float) -> float:
    """The largest measured factor with lr x curvature in [lr / condition, lr]."""
    every = {c: value for found in coordinates(frame, method).values() for c, value in found.items()}
    return max(value for c, value in every.items() if lr / condition * (1 - 1e-4) <= c <= lr * (1 + 1e-4))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    ends = frame[frame["part"] != "spectrum"]
    two = [
        Comparison(f"quadratic, condition {condition:g}", LABELS[method], "factor per step", value,
                   factor(method, condition))
        for method in NODES
        for condition, value in measured(ends, method).items()
    ]  # fmt: skip
    spectrum = [
        Comparison(f"quadratic, all of [1/{condition}, 1], lr {lr:g}", LABELS["lookahead"], "factor per step",
                   slowest(frame, "lookahead", condition, lr),
                   every_factor("lookahead", lr * np.geomspace(1 / condition, 1, 20001)).max())
        for condition, tuned in TUNED.items()
        for lr in (LR, tuned)
    ]  # fmt: skip
    return [*two, *spectrum]


# --------------------------------------------------------------------------------------------------------- drawn


def draw(frame: pd.DataFrame) -> Figure:
    figure, (two, curvatures, spectrum, tuned) = plot.axes(2, 2, height=3.8)
    conditions = np.geomspace(2, 1e5, 60)
    ends = frame[frame["part"] != "spectrum"]
    for method, look in STYLES.items():
        plot.line(two, conditions, [1 - factor(method, condition) for condition in conditions], look)
        found = measured(ends, method)
        plot.points(two, list(found), [1 - value for value in found.values()], look, label=LABELS[method])
        at_one, best = whole(method, conditions)
        plot.line(spectrum, conditions, 1 - at_one, look)
        plot.line(tuned, conditions, 1 - best, look)
        draw_curvatures(curvatures, frame, method)
    for ax, rates in ((spectrum, dict.fromkeys(TUNED, LR)), (tuned, TUNED)):
        values = [1 - slowest(frame, "lookahead", condition, lr) for condition, lr in rates.items()]
        plot.points(ax, list(TUNED), values, STYLES["lookahead"])
    for ax, title in ((two, "(a) two curvatures, lr 1"), (spectrum, r"(c) all of $[1/\kappa, 1]$, lr 1"),
                      (tuned, r"(d) the same, lr tuned")):  # fmt: skip
        ax.set_xlabel(r"condition number $\kappa$")
        ax.set_ylim(5e-6, 1)
        plot.panel_title(ax, title)
    for ax in (two, curvatures, spectrum, tuned):
        ax.set_xscale("log")
        ax.set_yscale("log")
        plot.log_ticks(ax, "x")
        plot.log_ticks(ax)
        ax.set_ylabel("rate, 1 - factor per step")
    plot.legend(figure, [two], 3)
    return figure


def draw_curvatures(ax: Any, frame: pd.DataFrame, method: str) -> None:
    grid, look = np.geomspace(1e-5, 1, 2000), STYLES[method]
    plot.line(ax, grid, 1 - every_factor(method, grid), look)
    found = {c: 1 - value for each in coordinates(frame, method).values() for c, value in each.items()}
    plot.points(ax, list(found), list(found.values()), look)
    ax.set_xlabel(r"lr $\times$ curvature")
    ax.set_ylim(5e-6, 1)
    plot.panel_title(ax, "(b) each curvature")

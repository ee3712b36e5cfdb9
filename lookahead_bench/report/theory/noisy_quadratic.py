"""Lookahead 2019: steady state of the noisy quadratic over learning rates, and convergence at matched final loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

METHODS: dict[str, tuple[Any, Any]] = {"sgd": (1, 1.0), "lookahead": (5, 0.5), "multilayer": ([5, 5], 0.5)}
PERIOD = 25  # all of them have just synced


def excess(curvature: np.ndarray, moments: tuple[np.ndarray, np.ndarray]) -> float:
    """Expected loss above its smallest value, dim / 2."""
    mean, variance = moments
    return float((curvature * (mean**2 + variance)).sum() / 2)


def draw(frame: pd.DataFrame) -> Figure:
    figure, (left, right) = plot.axes(2, height=1.9)
    draw_steady(left, frame[frame["part"] == "steady"])
    draw_matched(right, frame[frame["part"] != "steady"])
    plot.legend(figure, [left], 3)
    return figure


def steady(name: str, dim: int, lr: float) -> float:
    curvature = 1 / np.arange(1.0, dim + 1)
    cycle = theory.noisy_cycle(curvature, 1 / curvature, lr, *METHODS[name])
    return excess(curvature, (np.zeros(dim), cycle.steady_variance()))


def measured_steady(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean and standard error over seeds of each one's mean excess loss, by learning rate."""
    late = plot.train(frame[frame["optimizer"] == name])
    late = late[(late["step"] > 100) & (late["step"] % PERIOD == 0)]
    seeds = late.groupby(["optimizer.lr", "run_id"])["expected_loss"].mean() - late["dataset.dim"].iloc[0] / 2
    return pd.DataFrame(seeds.groupby("optimizer.lr").agg(["mean", "sem"]))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    frame = frame[frame["part"] == "steady"]
    dim = int(frame["dataset.dim"].iloc[0])
    return [
        Comparison(f"noisy quadratic, lr {lr:g}", plot.LOOKS[name].label, "steady-state excess loss", mean,
                   steady(name, dim, lr), sem)
        for name in METHODS
        for lr, mean, sem in measured_steady(frame, name).itertuples()
    ]  # fmt: skip


def draw_steady(ax: Any, frame: pd.DataFrame) -> None:
    dim = int(frame["dataset.dim"].iloc[0])
    grid = np.linspace(0.35, 1.5, 100)
    for name in METHODS:
        look = plot.LOOKS[name]
        plot.line(ax, grid, [steady(name, dim, lr) for lr in grid], look)
        found = measured_steady(frame, name)
        plot.points(ax, found.index, found["mean"], look, error=2 * found["sem"], label=look.label)
    ax.set_yscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("steady-state excess loss")
    plot.panel_title(ax, "(a) steady state")


def draw_matched(ax: Any, frame: pd.DataFrame) -> None:
    frame = plot.train(frame)
    dim = int(frame["dataset.dim"].iloc[0])
    curvature = 1 / np.arange(1.0, dim + 1)
    for name, (k, alpha) in METHODS.items():
        mine = frame[frame["optimizer"] == name]
        look, lr = plot.LOOKS[name], float(mine["optimizer.lr"].iloc[0])
        cycle = theory.noisy_cycle(curvature, 1 / curvature, lr, k, alpha)
        steps = int(np.prod([n for n, _ in theory.layers(k, alpha)]))
        cycles = np.arange(0, int(mine["step"].max()) // steps + 1)
        start = np.ones(dim), np.zeros(dim)
        plot.line(ax, cycles * steps, [excess(curvature, cycle.after(int(c), *start)) for c in cycles], look)
        found = (mine.groupby("oracle_calls")["expected_loss"].agg(["mean", "sem"])).loc[::25]
        plot.points(ax, found.index, found["mean"] - dim / 2, look, error=2 * found["sem"])
    ax.set_ylim(0.5, 1.7)  # all start at 2.6
    ax.set_xlabel("oracle calls")
    ax.set_ylabel("excess loss")
    plot.panel_title(ax, "(b) matched final loss")

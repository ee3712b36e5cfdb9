"""Lookahead-Minmax 2021: the full-batch bilinear game; every method multiplies the distance by a known factor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

MU, LR, K = -1j, 0.3, 6


class Method(NamedTuple):
    optimizer: str
    alpha: float | None
    look: plot.Look
    label: str
    factor: complex
    steps: int  # of a cycle
    calls: int  # of a step


EG, GDA = theory.eg(MU, LR), theory.gda(MU, LR)
METHODS = (
    Method("sgd", None, plot.LOOKS["gda"], "GDA", GDA, 1, 1),
    Method("extragradient", None, plot.LOOKS["extragradient"], "EG", EG, 1, 2),
    Method("la_gda", 0.8, plot.LOOKS["app"], "LA-GDA, 0.8", theory.lookahead(GDA, K, 0.8), K, 1),
    Method("la_gda", 0.5, plot.LOOKS["la_gda"], "LA-GDA, 0.5", theory.lookahead(GDA, K, 0.5), K, 1),
    Method("la_gda", 0.4, plot.LOOKS["rapp"], "LA-GDA, 0.4", theory.lookahead(GDA, K, 0.4), K, 1),
    Method("la_eg", 0.5, plot.LOOKS["la_eg"], "LA-EG, 0.5", theory.lookahead(EG, K, 0.5), K, 2),
)


def at_ends_of_cycles(frame: pd.DataFrame, method: Method) -> pd.Series:
    """Mean over seeds of the distance, relative to the first, by oracle calls."""
    mine = plot.train(frame[frame["optimizer"] == method.optimizer])
    if method.alpha is not None:
        mine = mine[np.isclose(mine["optimizer.alpha"].astype(float), method.alpha)]
    relative = mine["distance"] / mine.groupby("run_id")["distance"].transform("first")
    return relative[mine["step"] % method.steps == 0].groupby(mine["oracle_calls"]).mean()


def compare(frame: pd.DataFrame) -> list[Comparison]:
    found = []
    for method in METHODS:
        mean = at_ends_of_cycles(frame, method)
        factor = float(mean.iloc[-1] ** (1 / (len(mean) - 1)))
        quantity = "factor per step" if method.steps == 1 else f"factor per cycle of {method.steps}"
        found.append(Comparison("bilinear, full batch", method.label, quantity, factor, abs(method.factor)))
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, (ax,) = plot.axes(height=2.3)
    for method in METHODS:
        cycles = np.arange(400 // (method.steps * method.calls) + 1)
        plot.line(ax, cycles * method.steps * method.calls, np.abs(method.factor) ** cycles, method.look)
        mean = at_ends_of_cycles(frame, method)
        shown = mean.iloc[:: max(1, len(mean) // 8)]
        plot.points(ax, shown.index, shown, method.look, label=method.label)
    ax.set_yscale("log")
    ax.set_ylim(1e-10, 1e4)
    plot.log_ticks(ax, count=8)
    ax.set_xlabel("oracle calls")
    ax.set_ylabel("distance / first distance")
    plot.legend(figure, [ax], 3)
    return figure

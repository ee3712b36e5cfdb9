"""RAdam 2020: the rectifier, and the variance of the adaptive rate with and without it, read off runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

BETA2 = 0.999
FIRST = 6  # torch rectifies from rho_t > 5 on


def draw(frame: pd.DataFrame) -> Figure:
    figure, (rectifier, variance) = plot.axes(2, height=1.9)
    frame = plot.train(frame)
    draw_rectifier(rectifier, frame[frame["part"] == "rectifier"])
    draw_variance(variance, frame[frame["part"] == "variance"])
    plot.legend(figure, [variance], 2)
    return figure


def effective_rates(run: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Of one seed: (x_{t-1} - x_t) / (lr g_t), and the gradients g_t, t = 1, 2, ... (beta1 = 0, x > 0)."""
    run = run.sort_values("step")
    x, loss = run["distance"].to_numpy(), run["loss"].to_numpy()[1:]
    gradients = x[:-1] + (loss - x[:-1] ** 2 / 2) / x[:-1]  # the loss of a step is x^2 / 2 + noise x
    return (x[:-1] - x[1:]) / (float(run["optimizer.lr"].iloc[0]) * gradients), gradients


def measured_rectifier(run: pd.DataFrame) -> pd.Series:
    """RAdam's step over Adam's at the same gradients, at ten times t."""
    rates, gradients = effective_rates(run)
    t = np.arange(1, len(rates) + 1)
    v = np.array([(1 - BETA2) * sum(BETA2 ** np.arange(n)[::-1] * gradients[:n] ** 2) for n in t])
    found = pd.Series(rates * np.sqrt(v) / np.sqrt(1 - BETA2**t), index=t)
    return found.loc[np.unique(np.geomspace(FIRST, len(t), 10).astype(int))]


def compare(frame: pd.DataFrame) -> list[Comparison]:
    found = measured_rectifier(plot.train(frame[frame["part"] == "rectifier"]))
    expected = theory.radam_rectifier(found.index.to_numpy(), BETA2)
    return [
        Comparison("quadratic of one number", "RAdam", f"rectifier, t = {t}", value, closed)
        for (t, value), closed in zip(found.items(), expected, strict=True)
    ]


def draw_rectifier(ax: Any, run: pd.DataFrame) -> None:
    found = measured_rectifier(run)
    t = np.arange(FIRST, found.index[-1] + 1)
    plot.line(ax, t, theory.radam_rectifier(t, BETA2), plot.LOOKS["radam"])
    plot.points(ax, found.index, found, plot.LOOKS["radam"])
    ax.set_xscale("log")
    ax.set_xlabel("oracle calls t")
    ax.set_ylabel("rectifier r")
    plot.panel_title(ax, "(a) rectifier")


def draw_variance(ax: Any, frame: pd.DataFrame) -> None:
    t = np.arange(FIRST, 201)
    analytic = theory.adaptive_rate_variance(theory.radam_rho(t, BETA2))
    for name in ("adam", "radam"):
        runs = [effective_rates(run)[0] for _, run in frame[frame["optimizer"] == name].groupby("run_id")]
        found = np.var(np.stack(runs), axis=0, ddof=1)
        look = plot.LOOKS[name]
        squared = theory.radam_rectifier(t, BETA2) ** 2 if name == "radam" else 1.0
        plot.line(ax, t, squared * analytic, look)
        shown = np.unique(np.geomspace(FIRST, 200, 12).astype(int)) - 1
        plot.points(ax, shown + 1, found[shown], look, label=look.label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("oracle calls t")
    ax.set_ylabel("variance over seeds")
    plot.panel_title(ax, "(b) effective rate")

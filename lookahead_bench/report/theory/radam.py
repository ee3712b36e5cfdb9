"""RAdam 2020: the rectifier read off a run, figure 8, and figure 9's variances of the rate over 5,000 trajectories."""

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
MARKERS = "osDv^P"  # of the six means
COMPARED = (24, 96, 396, 996, 1998, 6000)  # v of fewer gradients has too heavy a tail for a standard error
GREY = "#777777"


def draw(frame: pd.DataFrame) -> Figure:
    figure, (rectifier, formulas, adam, radam, first_order, ratio) = plot.axes(2, 3, height=5.2)
    draw_rectifier(rectifier, plot.train(frame[frame["part"] == "rectifier"]))
    draw_formulas(formulas)
    for ax, name, letter in ((adam, "adam", "c"), (radam, "radam", "d")):
        draw_variance(ax, plot.train(frame[(frame["part"] == "variance") & (frame["optimizer"] == name)]), name)
        plot.panel_title(ax, f"({letter}) {plot.LOOKS[name].label}")
    draw_first_order(first_order)
    draw_ratio(ratio, plot.train(frame[(frame["part"] == "variance") & (frame["optimizer"] == "adam")]))
    figure.legend(*adam.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


# ---------------------------------------------------------------------------------------------------- rectifier


def measured_rectifier(run: pd.DataFrame) -> pd.Series:
    """RAdam's step over Adam's at the same gradients, at ten times t (beta1 = 0, x > 0)."""
    run = run.sort_values("step")
    x, loss = run["distance"].to_numpy(), run["loss"].to_numpy()[1:]
    gradients = x[:-1] + (loss - x[:-1] ** 2 / 2) / x[:-1]  # the loss of a step is x^2 / 2 + noise x
    rates = (x[:-1] - x[1:]) / (float(run["optimizer.lr"].iloc[0]) * gradients)
    t = np.arange(1, len(rates) + 1)
    v = np.array([(1 - BETA2) * sum(BETA2 ** np.arange(n)[::-1] * gradients[:n] ** 2) for n in t])
    found = pd.Series(rates * np.sqrt(v) / np.sqrt(1 - BETA2**t), index=t)
    return found.loc[np.unique(np.geomspace(FIRST, len(t), 10).astype(int))]


def draw_rectifier(ax: Any, run: pd.DataFrame) -> None:
    found = measured_rectifier(run)
    t = np.arange(FIRST, found.index[-1] + 1)
    plot.line(ax, t, theory.radam_rectifier(t, BETA2), plot.LOOKS["radam"])
    plot.points(ax, found.index, found, plot.LOOKS["radam"])
    ax.set_xscale("log")
    ax.set_xlabel("oracle calls t")
    ax.set_ylabel("rectifier r")
    plot.panel_title(ax, "(a) rectifier")


# ----------------------------------------------------------------------------------------------------- variance


def draw_formulas(ax: Any) -> None:
    """Figure 8: no run, two formulas."""
    rho = np.geomspace(5, 500, 200)
    ax.plot(rho, theory.adaptive_rate_variance(rho), color="#000000", label="exact")
    ax.plot(rho, theory.adaptive_rate_variance_first_order(rho), color="#D55E00", linestyle="--", label="first order")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(r"degrees of freedom $\rho$")
    ax.set_ylabel("variance")
    ax.legend(loc="upper right")
    plot.panel_title(ax, "(b) the two formulas")


def draw_first_order(ax: Any) -> None:
    rho = np.geomspace(5, 500, 200)
    ratio = theory.adaptive_rate_variance_first_order(rho) / theory.adaptive_rate_variance(rho)
    ax.plot(rho, ratio, color="#D55E00", linestyle="--")
    ax.axhline(1, color=GREY, linewidth=0.6)
    ax.set_xscale("log")
    ax.set_xlabel(r"degrees of freedom $\rho$")
    ax.set_ylabel("first order / exact")
    plot.panel_title(ax, "(e) their ratio")


def draw_ratio(ax: Any, frame: pd.DataFrame) -> None:
    """Of N(0, 1) gradients: what was measured, and the effective number's variance, over the paper's."""
    t = np.arange(FIRST, 6001)
    paper = pd.Series(expected(t, "adam", theory.radam_rho(t, BETA2)), index=t)
    ax.axhline(1, color=GREY, linestyle=":")
    ax.plot(t, expected(t, "adam", theory.effective_gradients(t, BETA2)) / paper, color=GREY)
    shown = at_times(frame[frame["dataset.mean"] == 0], 16)
    scale = paper.loc[shown.index]
    look = plot.LOOKS["adam"]
    plot.points(ax, shown.index, shown["rate_variance"] / scale, look, error=2 * shown["rate_variance_error"] / scale)
    ax.set_xscale("log")
    ax.set_xlabel("oracle calls t")
    ax.set_ylabel(r"variance / paper's")
    plot.panel_title(ax, r"(f) Adam, $\mu = 0$")


def at_times(run: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows at about so many times, spaced evenly in the logarithm, by step."""
    rows = run.set_index("step").sort_index()
    return rows.loc[np.unique(np.round(np.geomspace(FIRST, 6000, count) / 6).astype(int) * 6)]


def expected(t: Any, name: str, degrees: Any) -> Any:
    """Of N(0, 1) gradients, where v has so many degrees of freedom."""
    squared = theory.radam_rectifier(t, BETA2) ** 2 if name == "radam" else 1.0
    return squared * theory.adaptive_rate_variance(degrees)


def draw_variance(ax: Any, frame: pd.DataFrame, name: str) -> None:
    """Error bars: two standard errors of the variance."""
    t = np.arange(FIRST, 6001)
    ax.plot(t, expected(t, name, theory.radam_rho(t, BETA2)), color=GREY, linestyle=":", label=r"paper's $\rho_t$")
    ax.plot(t, expected(t, name, theory.effective_gradients(t, BETA2)), color=GREY, label="effective number")
    for i, (mean, run) in enumerate(frame.groupby("dataset.mean")):
        rows, shown = run[run["step"] >= FIRST].sort_values("step"), at_times(run, 9)
        colour = plot.paler(plot.LOOKS[name].colour, 0.12 * i)
        look = plot.Look(rf"$\mu = {mean:g}$", colour, MARKERS[i], "-")
        ax.plot(rows["step"], rows["rate_variance"], color=colour, linewidth=0.6)
        plot.points(ax, shown.index, shown["rate_variance"], look, error=2 * shown["rate_variance_error"])
        ax.plot([], [], color=colour, marker=look.marker, markerfacecolor="white", label=look.label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    plot.log_ticks(ax)
    ax.set_xlabel("oracle calls t")
    ax.set_ylabel("variance of the rate")


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """The rectifier exactly; of N(0, 1) gradients both variances against those of the effective number of gradients."""
    rectifier = measured_rectifier(plot.train(frame[frame["part"] == "rectifier"]))
    found = [
        Comparison("quadratic of one number", "RAdam", f"rectifier, t = {t}", value, closed)
        for (t, value), closed in zip(
            rectifier.items(), theory.radam_rectifier(rectifier.index.to_numpy(), BETA2), strict=True
        )
    ]
    variance = plot.train(frame[(frame["part"] == "variance") & (frame["dataset.mean"] == 0)])
    for name in ("adam", "radam"):
        rows = variance[variance["optimizer"] == name].set_index("step")
        measured, errors = (rows[key].loc[list(COMPARED)].tolist() for key in ("rate_variance", "rate_variance_error"))
        t = np.array(COMPARED)
        closed = expected(t, name, theory.effective_gradients(t, BETA2))
        found += [
            Comparison("5,000 trajectories of N(0, 1)", plot.LOOKS[name].label, f"variance of the rate, t = {n}",
                       *numbers)
            for n, *numbers in zip(COMPARED, measured, closed.tolist(), errors, strict=True)
        ]  # fmt: skip
    return found

"""RAPP 2023: contraction on the quadratic game over rho, step 0.9 / L, by outer iteration and by oracle call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

G, RELAXATION = 0.9, 0.5


class Outer(NamedTuple):
    """An outer iteration: its factor as a function of mu, its steps, and its oracle calls."""

    factor: Callable[[complex], complex]
    steps: int
    calls: int


FACTORS = {
    "sgd": Outer(lambda mu: theory.gda(mu, G), 1, 1),
    "extragradient": Outer(lambda mu: theory.eg(mu, G), 1, 2),
    "eg_plus": Outer(lambda mu: theory.eg(mu, G, 0.5), 1, 2),
    "la_gda": Outer(lambda mu: theory.lookahead(theory.gda(mu, G), 2, 0.25), 2, 2),
    "la_eg_plus": Outer(lambda mu: theory.lookahead(theory.eg(mu, G, 0.5), 5, 0.5), 5, 10),
    "rapp": Outer(lambda mu: theory.rapp(mu, G, 20, RELAXATION), 1, 20),
}
GREY = "#777777"


def look_of(name: str) -> plot.Look:
    return plot.LOOKS["gda" if name == "sgd" else name]


def measured(frame: pd.DataFrame, name: str) -> dict[float, float]:
    """Factor of an outer iteration by rho: every one contracts alike, so the whole run's mean contraction is it."""
    ends = plot.final(frame[frame["optimizer"] == name]).sort_values("dataset.rho")
    return dict(zip(ends["dataset.rho"], ends["rate"] ** FACTORS[name].steps, strict=True))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    return [
        Comparison(f"quadratic game, rho = {rho:g}", look_of(name).label, "factor per outer iteration", value,
                   abs(outer.factor(theory.game_eigenvalue(1.0, rho))))
        for name, outer in FACTORS.items()
        for rho, value in measured(frame, name).items()
    ]  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    figure, (iteration, call) = plot.axes(1, 2, height=4.6)
    grid = np.linspace(-0.95, 0.6, 300)
    for name, outer in FACTORS.items():
        look, found = look_of(name), measured(frame, name)
        for ax, power in ((iteration, 1.0), (call, 1 / outer.calls)):
            plot.line(ax, grid, [abs(outer.factor(theory.game_eigenvalue(1.0, r))) ** power for r in grid], look)
            plot.points(ax, list(found), [value**power for value in found.values()], look, label=look.label)
    for relaxation, line, label in ((RELAXATION, "-", "proximal point, relaxed by 1/2"), (1.0, ":", "proximal point")):
        values = [abs(theory.pp(theory.game_eigenvalue(1.0, r), G, relaxation)) for r in grid]
        iteration.plot(grid, values, color=GREY, linewidth=2.5, alpha=0.5, zorder=1, linestyle=line, label=label)
    for ax in (iteration, call):
        ax.axhline(1.0, color=GREY, linewidth=0.6, zorder=1)
        ax.set_xlabel(r"comonotonicity $\rho$ ($L = 1$)")
    for rho, words, side in (
        (-0.5, r"$-\frac{1}{2L}$", "left"),
        (-G / 2, r"$-\frac{\gamma}{2}$", "left"),
        (-G * (1 - RELAXATION / 2), r"$-\gamma(1-\frac{\lambda}{2})$", "right"),
    ):
        mark(iteration, rho, words, side)
    iteration.set_ylim(0.0, 2.0)
    iteration.set_ylabel("factor per outer iteration")
    call.set_ylim(0.5, 1.5)
    call.set_ylabel("factor per oracle call")
    plot.panel_title(iteration, r"(a) $\gamma = 0.9$, RAPP with 20 inner steps and $\lambda = 1/2$")
    plot.panel_title(call, "(b) the same for each oracle call")
    plot.legend(figure, [iteration], 3)
    return figure


def mark(ax: Any, rho: float, words: str, side: str) -> None:
    """A vertical line where something stops to converge, and its name."""
    ax.axvline(rho, color=GREY, linewidth=0.6, linestyle=":", zorder=1)
    away, height = 2 if side == "left" else -2, 0.02 if rho != -0.5 else 0.13
    ax.annotate(words, (rho, height), xycoords=("data", "axes fraction"), fontsize=7, color="#555555",
                xytext=(away, 0), textcoords="offset points", ha=side)  # fmt: skip

"""RAPP 2023: contraction of an outer iteration on the quadratic game over rho, with step 0.9 / L."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

G = 0.9
# Of an outer iteration, as functions of mu, and its steps.
FACTORS: dict[str, tuple[Callable[[complex], complex], int]] = {
    "sgd": (lambda mu: theory.gda(mu, G), 1),
    "extragradient": (lambda mu: theory.eg(mu, G), 1),
    "eg_plus": (lambda mu: theory.eg(mu, G, 0.5), 1),
    "la_gda": (lambda mu: theory.lookahead(theory.gda(mu, G), 2, 0.25), 2),
    "la_eg_plus": (lambda mu: theory.lookahead(theory.eg(mu, G, 0.5), 5, 0.5), 5),
    "rapp": (lambda mu: theory.rapp(mu, G, 20, 0.5), 1),
}


def look_of(name: str) -> plot.Look:
    return plot.LOOKS["gda" if name == "sgd" else name]


def measured(frame: pd.DataFrame, name: str) -> dict[float, float]:
    """Factor of an outer iteration by rho: every one contracts alike, so the whole run's mean contraction is it."""
    ends = plot.final(frame[frame["optimizer"] == name]).sort_values("dataset.rho")
    return dict(zip(ends["dataset.rho"], ends["rate"] ** FACTORS[name][1], strict=True))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    return [
        Comparison(f"quadratic game, rho = {rho:g}", look_of(name).label, "factor per outer iteration", value,
                   abs(factor(theory.game_eigenvalue(1.0, rho))))
        for name, (factor, _) in FACTORS.items()
        for rho, value in measured(frame, name).items()
    ]  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    figure, (ax,) = plot.axes(height=2.6)
    grid = np.linspace(-0.95, 0.6, 300)
    for name, (factor, _) in FACTORS.items():
        look = look_of(name)
        plot.line(ax, grid, [abs(factor(theory.game_eigenvalue(1.0, r))) for r in grid], look)
        found = measured(frame, name)
        plot.points(ax, list(found), list(found.values()), look, label=look.label)
    ax.plot(grid, [abs(theory.pp(theory.game_eigenvalue(1.0, r), G)) for r in grid], color="#777777", linewidth=2.5,
            alpha=0.4, zorder=1, label="proximal point")  # fmt: skip
    ax.axhline(1.0, color="#777777", linewidth=0.6, zorder=1)
    for rho, words in ((-0.5, r"$-\frac{1}{2L}$"), (-G / 2, r"$-\frac{\gamma}{2}$")):
        ax.axvline(rho, color="#777777", linewidth=0.6, linestyle=":", zorder=1)
        ax.annotate(words, (rho, 0.02), xycoords=("data", "axes fraction"), fontsize=7, color="#555555",
                    xytext=(-2 if rho == -0.5 else 2, 0), textcoords="offset points",
                    ha="right" if rho == -0.5 else "left")  # fmt: skip
    ax.set_ylim(0.0, 2.0)
    ax.set_xlabel(r"comonotonicity $\rho$ ($L = 1$)")
    ax.set_ylabel("factor per outer iteration")
    plot.legend(figure, [ax], 4)
    return figure

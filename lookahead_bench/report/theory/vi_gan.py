"""Gidel et al. 2019, figure 1: trajectories and distances on theta phi with phi in [-1, 1]."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

METHODS = ("sgd", "alt_gda", "adam", "averaging", "past_extragradient", "extragradient")
LABELS = {"sgd": "simultaneous SGD", "alt_gda": "alternating SGD", "past_extragradient": "past EG, 0.5",
          "extragradient": "EG, 0.6"}  # fmt: skip


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """Once the bound on phi no longer acts, both methods are linear."""
    found = []
    for name, order in (("extragradient", 2), ("past_extragradient", 4)):  # one number of two, or of four, that obey
        run = plot.train(frame[frame["optimizer"] == name]).sort_values("step")
        lr = float(run["optimizer.lr"].iloc[0])
        factor = abs(theory.eg(-1j, lr)) if name == "extragradient" else theory.past_extragradient(-1j, lr)
        measured = plot.recurrence(run.loc[run["step"].between(20, 40), "x"], order)
        found.append(Comparison(f"theta phi, lr {lr:g}", plot.LOOKS[name].label, "factor per step", measured, factor))
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, (plane, distances) = plot.axes(2, height=2.2)
    averaged = plot.final(frame, "average")
    frame = plot.train(frame)
    for name in METHODS:
        look = plot.LOOKS["gda" if name == "sgd" else name]
        if name == "averaging":
            mine = mean_of_iterates(frame[frame["optimizer"] == "polyak"])
            end = averaged.iloc[0]
            distances.plot(end["oracle_calls"], end["distance"], marker=look.marker, color=look.colour, zorder=4)
        else:
            mine = frame[frame["optimizer"] == name].sort_values("step")
        plane.plot(mine["x"], mine["y"], color=look.colour, linestyle=look.line, linewidth=0.7)
        plot.curve(distances, mine, "distance", look, markers=6, label=LABELS.get(name))
    plane.plot(0, 0, marker="*", color="#000000", markersize=5, zorder=4)
    for bound in (-1, 1):
        plane.axhline(bound, color="#777777", linewidth=0.6, linestyle=":")
    draw_rate(distances, frame)
    plane.set_xlabel(r"$\theta$")
    plane.set_ylabel(r"$\phi$")
    distances.set_yscale("log")
    plot.log_ticks(distances)
    distances.set_xlabel("oracle calls")
    distances.set_ylabel("distance to the solution")
    plot.panel_title(plane, "(a) iterates")
    plot.panel_title(distances, "(b) distance")
    plot.legend(figure, [distances], 3)
    return figure


def mean_of_iterates(run: pd.DataFrame) -> pd.DataFrame:
    """What Averaged evaluates at, from the iterates after the first: its end is checked against the run's own."""
    run = run.sort_values("step")
    run = run[run["step"] > 0]
    mean = run[["x", "y"]].expanding().mean()
    return run.assign(x=mean["x"], y=mean["y"], distance=(mean["x"] ** 2 + mean["y"] ** 2) ** 0.5)


def draw_rate(ax: Any, frame: pd.DataFrame) -> None:
    """|1 - g mu + (g mu)^2| for each step of two calls, back from the last point."""
    run = frame[frame["optimizer"] == "extragradient"].sort_values("step")
    factor = abs(theory.eg(-1j, float(run["optimizer.lr"].iloc[0])))
    line = run["distance"].iloc[-1] * factor ** (run["step"] - run["step"].iloc[-1])
    ax.plot(run["oracle_calls"], line, color="#777777", linewidth=2.5, alpha=0.4, zorder=1)
    ax.annotate("closed form", (run["oracle_calls"].iloc[-1], 3e-6), fontsize=6, color="#555555", ha="right", va="top",
                xytext=(0, -4), textcoords="offset points")  # fmt: skip

"""Gidel et al. 2019, figure 1: trajectories and distances on theta phi with phi in [-1, 1]."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

METHODS = ("sgd", "alt_gda", "first_moment_adam", "polyak", "past_extragradient", "extragradient")
LOOKS = {
    "sgd": plot.LOOKS["gda"]._replace(label="simultaneous SGD, 0.1"),
    "alt_gda": plot.LOOKS["alt_gda"]._replace(label="alternating SGD, 0.1"),
    "first_moment_adam": plot.LOOKS["adam"]._replace(label="notebook's Adam, 0.01"),
    "polyak": plot.LOOKS["averaging"]._replace(label=r"mean, SGD $2/\sqrt{t}$"),
    "past_extragradient": plot.LOOKS["past_extragradient"]._replace(label="past EG, 0.5"),
    "extragradient": plot.LOOKS["extragradient"]._replace(label="EG, 0.6 (two calls)"),
}
LABELS = {name: look.label.replace(r"2/\sqrt{t}", "2/sqrt(t)").replace("$", "") for name, look in LOOKS.items()}
# bilinear_wgan.ipynb, written again and run without this code: the distance after 100 iterations. Its past EG remembers
# F(w_0) at first and ends at 1.2312e-13; ours begins with 0, as the paper on single-call methods has it.
NOTEBOOK = {
    "sgd": 1.077588556308427, "alt_gda": 0.9958721691095697, "first_moment_adam": 0.9956877270194389,
    "polyak": 0.05177723019278546, "past_extragradient": 1.3681695954811082e-13,
    "extragradient": 2.673920478053071e-06,
}  # fmt: skip


def shown(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The iterates of a run, of averaged SGD their mean."""
    run = plot.train(frame[frame["optimizer"] == name]).sort_values("step")
    return run if name != "polyak" else mean_with_the_start(run)


def mean_with_the_start(run: pd.DataFrame) -> pd.DataFrame:
    """The notebook's mean counts w_0 too; `Averaged`, the run's own, begins with w_1."""
    mean = run[["x", "y"]].expanding().mean()
    return run.assign(x=mean["x"], y=mean["y"], distance=(mean["x"] ** 2 + mean["y"] ** 2) ** 0.5)


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """The notebook's six ends; and once the bound on phi no longer acts, both methods of the last two are linear."""
    found = [
        Comparison("theta phi", LABELS[name], "distance after 100 iterations, the notebook's",
                   float(shown(frame, name)["distance"].iloc[-1]), NOTEBOOK[name])
        for name in METHODS
    ]  # fmt: skip
    for name, order in (("extragradient", 2), ("past_extragradient", 4)):  # one number of two, or of four, that obey
        run = shown(frame, name)
        lr = float(run["optimizer.lr"].iloc[0])
        factor = abs(theory.eg(-1j, lr)) if name == "extragradient" else theory.past_extragradient(-1j, lr)
        measured = plot.recurrence(run.loc[run["step"].between(20, 40), "x"], order)
        found.append(Comparison(f"theta phi, lr {lr:g}", plot.LOOKS[name].label, "factor per step", measured, factor))
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, (plane, distances) = plot.axes(2, height=2.3)
    for name, look in LOOKS.items():
        mine = shown(frame, name)
        plane.plot(mine["x"], mine["y"], color=look.colour, linestyle=look.line, linewidth=0.7)
        plot.curve(distances, mine, "distance", look, markers=6, x="step")
    plane.plot(0, 0, marker="*", color="#000000", markersize=5, zorder=4)
    for bound in (-1, 1):
        plane.axhline(bound, color="#777777", linewidth=0.6, linestyle=":")
    draw_rate(distances, shown(frame, "extragradient"))
    plane.set_xlabel(r"$\theta$")
    plane.set_ylabel(r"$\phi$")
    distances.set_yscale("log")
    plot.log_ticks(distances)
    distances.set_xlabel("iterations")
    distances.set_ylabel("distance to the solution")
    plot.panel_title(plane, "(a) iterates")
    plot.panel_title(distances, "(b) distance")
    plot.legend(figure, [distances], 2)
    return figure


def draw_rate(ax: Any, run: pd.DataFrame) -> None:
    """|1 - g mu + (g mu)^2| for each step, back from the last point."""
    factor = abs(theory.eg(-1j, float(run["optimizer.lr"].iloc[0])))
    line = run["distance"].iloc[-1] * factor ** (run["step"] - run["step"].iloc[-1])
    ax.plot(run["step"], line, color="#777777", linewidth=2.5, alpha=0.4, zorder=1)
    ax.annotate("closed form", (run["step"].iloc[-1], 3e-6), fontsize=6, color="#555555", ha="right", va="top",
                xytext=(0, -4), textcoords="offset points")  # fmt: skip

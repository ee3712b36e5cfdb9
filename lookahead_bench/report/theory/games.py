"""RAPP 2023: trajectories and distances on three games of two numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot

GAMES = {"polar_game": "PolarGame (easy)", "forsaken": "Forsaken", "global_forsaken": "GlobalForsaken"}
SOLUTIONS = {"polar_game": (0, 0), "forsaken": (0.0780266687, 0.4119338514), "global_forsaken": (0, 0)}
METHODS = ("sgd", "extragradient", "eg_plus", "la_eg_plus", "la_gda", "rapp", "app")
SHOWN = 2.0  # what a trajectory leaves beyond this is not drawn
WHOLE = ("la_gda", "la_eg_plus", "rapp")  # the others' trajectories would hide these:
BEGINNING = 80  # oracle calls of them


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 3, height=4.6, gridspec_kw={"width_ratios": [1, 1.25]})
    frame = plot.train(frame).copy()
    is_app = (frame["optimizer"] == "rapp") & (frame["optimizer.relaxation"] == 1.0)
    frame["method"] = np.where(is_app, "app", frame["optimizer"])
    for i, (game, title) in enumerate(GAMES.items()):
        plane, distances = panels[2 * i], panels[2 * i + 1]
        lost: list[plot.Look] = []
        for name in METHODS:
            mine = frame[(frame["dataset"] == game) & (frame["method"] == name)].sort_values("step")
            look = plot.LOOKS["gda" if name == "sgd" else name]
            path = mine if name in WHOLE else mine[mine["oracle_calls"] <= BEGINNING]
            path = path[["x", "y"]].where(path[["x", "y"]].abs().max(axis=1) < SHOWN)
            plane.plot(path["x"], path["y"], color=look.colour, linestyle=look.line, linewidth=0.6)
            plot.curve(distances, mine[mine["distance"] < 1e3], "distance", look, markers=5)
            if mine["status"].iloc[0] == "diverged":
                lost.append(look)
        for row, look in enumerate(lost):
            place = 0.98, 0.93 - 0.09 * row
            words = f"{look.label} diverges"
            distances.annotate(words, place, xycoords="axes fraction", ha="right", color=look.colour, fontsize=6)
        plane.plot(*SOLUTIONS[game], marker="*", color="#000000", markersize=5, zorder=4)
        plane.set_aspect("equal", adjustable="datalim")
        plane.set_ylabel("y")
        distances.set_yscale("log")
        distances.set_ylim(1e-9, 1e3)
        plot.log_ticks(distances)
        plot.panel_title(plane, f"({'abc'[i]}) {title}")
        distances.set_ylabel("distance")
    panels[4].set_xlabel("x")
    panels[5].set_xlabel("oracle calls")
    plot.legend(figure, panels, 4)
    return figure

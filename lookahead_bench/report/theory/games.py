"""RAPP 2023: trajectories and distances on three games of two numbers, and each method near the solution."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison
from lookahead_bench.tasks.games import FORSAKEN

PATH = "lookahead_bench.optim."
EXTRA, LOOKAHEAD = {"_target_": PATH + "ProximalPoint"}, {"_target_": PATH + "Lookahead"}


class Game(NamedTuple):
    title: str
    lr: float
    solution: tuple[float, float]
    slopes: tuple[float, float]  # the derivatives of either player's own gradient there
    across: float  # that of x's gradient by y; of y's by x it is the negative

    @property
    def jacobian(self) -> np.ndarray[Any, np.dtype[Any]]:
        return np.array([[self.slopes[0], self.across], [-self.across, self.slopes[1]]])


def curvature(z: float) -> float:
    """phi'' of Forsaken."""
    return 1 / 2 - 6 * z**2 + 5 * z**4


GAMES = {
    "polar_game": Game("PolarGame (easy)", 0.3, (0, 0), (9 / 48, 9 / 48), -1.0),
    "forsaken": Game("Forsaken", 0.4, FORSAKEN, (curvature(FORSAKEN[0]), curvature(FORSAKEN[1])), 1.0),
    "global_forsaken": Game("GlobalForsaken", 0.33086, (0, 0), (2 / 3, 2 / 3), 1.0),
}


class Method(NamedTuple):
    look: plot.Look
    label: str
    wrappers: list[dict[str, str]]
    settings: dict[str, Any]


METHODS = {
    "sgd": Method(plot.LOOKS["gda"], "GDA", [], {}),
    "extragradient": Method(plot.LOOKS["extragradient"], "EG", [EXTRA], {"inner": 2, "relaxation": 1.0}),
    "eg_plus": Method(plot.LOOKS["eg_plus"], r"EG+, $\frac{1}{2}$", [EXTRA], {"inner": 2, "relaxation": 0.5}),
    "la_eg_plus": Method(plot.LOOKS["la_eg_plus"], r"LA-EG+, $k = 5$, $\alpha = 0.5$", [EXTRA, LOOKAHEAD],
                         {"inner": 2, "relaxation": 0.5, "k": 5, "alpha": 0.5}),
    "la_gda": Method(plot.LOOKS["la_gda"], r"LA-GDA, $k = 5$, $\alpha = 0.3$", [LOOKAHEAD], {"k": 5, "alpha": 0.3}),
    "rapp": Method(plot.LOOKS["rapp"], r"RAPP, 5 inner, $\lambda = 0.3$", [EXTRA], {"inner": 5, "relaxation": 0.3}),
    "app": Method(plot.LOOKS["app"], "APP, 5 inner", [EXTRA], {"inner": 5, "relaxation": 1.0}),
}  # fmt: skip
SHOWN = 2.0  # what a trajectory leaves beyond this is not drawn
CALLS = {"polar_game": 600, "forsaken": 3000, "global_forsaken": 600}
WHOLE = ("la_gda", "la_eg_plus", "rapp")  # the others' trajectories would hide these:
BEGINNING = 80  # oracle calls of them


def slow(frame: pd.DataFrame, game: str, name: str) -> pd.DataFrame:
    """The outer iterates of a method: of Lookahead its slow weights, at every sync."""
    is_app = (frame["optimizer"] == "rapp") & (frame["optimizer.relaxation"] == 1.0)
    chosen = is_app if name == "app" else (frame["optimizer"] == name) & ~is_app
    rows = plot.train(frame[chosen & (frame["dataset"] == game)]).sort_values("step")
    return rows[rows["step"] % int(METHODS[name].settings.get("k", 1)) == 0]


def local_factor(game: str, name: str) -> float:
    """Of an oracle call, where F is its linear part at the solution."""
    one, method = GAMES[game], METHODS[name]
    node = {"base": {"_target_": "torch.optim.SGD"}, "lr": one.lr, "wrappers": method.wrappers, **method.settings}
    return theory.factor_per_call(node, one.jacobian)


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """Of the methods that arrive: the factor of an oracle call where only F's linear part acts."""
    found = []
    for game, one in GAMES.items():
        for name, method in METHODS.items():
            rows = slow(frame, game, name)
            near = rows[rows["distance"].between(1e-10, 1e-7)]  # nearer, Forsaken's x less its solution is rounded
            if len(near) < 6:
                continue
            calls = near["oracle_calls"].diff().iloc[-1]
            measured = plot.recurrence(near["x"] - one.solution[0], 2) ** (1 / calls)
            found.append(Comparison(f"{one.title}, lr {one.lr:g}, near the solution", method.look.label,
                                    "factor per oracle call", measured, local_factor(game, name)))  # fmt: skip
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 3, height=5.0, gridspec_kw={"width_ratios": [1, 1.25]})
    for i, (game, one) in enumerate(GAMES.items()):
        plane, distances = panels[2 * i], panels[2 * i + 1]
        lost: list[plot.Look] = []
        for name, method in METHODS.items():
            mine, look = slow(frame, game, name), method.look
            path = mine if name in WHOLE else mine[mine["oracle_calls"] <= BEGINNING]
            path = path[["x", "y"]].where(path[["x", "y"]].abs().max(axis=1) < SHOWN)
            plane.plot(path["x"], path["y"], color=look.colour, linestyle=look.line, linewidth=0.6, marker=".",
                       markersize=2.5 * ("k" in method.settings))  # fmt: skip
            near = mine[(mine["distance"] < 1e3) & (mine["oracle_calls"] <= CALLS[game])]
            plot.curve(distances, near, "distance", look, markers=5, label=method.label)
            if mine["status"].iloc[0] == "diverged":
                lost.append(look)
        for row, look in enumerate(lost):
            place = 0.98, 0.93 - 0.09 * row
            words = f"{look.label} diverges"
            distances.annotate(words, place, xycoords="axes fraction", ha="right", color=look.colour, fontsize=6)
        plane.plot(*one.solution, marker="*", color="#000000", markersize=5, zorder=4)
        plane.set_aspect("equal", adjustable="datalim")
        plane.set_ylabel("y")
        distances.set_yscale("log")
        distances.set_ylim(1e-9, 1e3)
        plot.log_ticks(distances)
        plot.panel_title(plane, f"({'abc'[i]}) {one.title}, lr {one.lr:.2g}")
        distances.set_ylabel("distance")
    draw_beginning(panels[3], frame)
    panels[4].set_xlabel("x")
    panels[5].set_xlabel("oracle calls")
    plot.legend(figure, panels, 3)
    return figure


def draw_beginning(ax: Any, frame: pd.DataFrame) -> None:
    """Forsaken's first calls, in which APP is lost."""
    inset = ax.inset_axes((0.6, 0.46, 0.38, 0.27))
    for name in ("la_gda", "rapp", "app"):
        mine, look = slow(frame, "forsaken", name), METHODS[name].look
        shown = mine[mine["oracle_calls"] <= 60]
        inset.plot(shown["oracle_calls"], shown["distance"], color=look.colour, linestyle=look.line, linewidth=0.8,
                   marker=look.marker, markersize=1.8, markeredgewidth=0.4, markerfacecolor="white")  # fmt: skip
    inset.set_ylim(0, 3.5)
    inset.tick_params(labelsize=5, length=1.5, pad=1.5)

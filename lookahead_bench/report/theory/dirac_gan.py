"""Gidel et al. 2019: the Dirac-GAN with its data at -2, under a bilinear and a logistic loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

LR, TARGET, K, ALPHA = 0.3, -2.0, 5, 0.5
LOSSES = {"wasserstein": "Wasserstein", "non_saturating": "non-saturating"}
SLOPES = {"wasserstein": (1.0, 0.0), "non_saturating": (0.5, TARGET**2 / 2)}  # of F at the solution: across, along phi
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("gda", {"wrappers": []}),
    "alt_gda": ("alt_gda", {"wrappers": ["Alternating"]}),
    "la_gda": ("la_gda", {"wrappers": ["Lookahead"], "k": K, "alpha": ALPHA}),
    "past_extragradient": ("past_extragradient", {"wrappers": ["PastExtragradient"], "memory": "gradient"}),
    "extragradient": ("extragradient", {"wrappers": ["ProximalPoint"], "inner": 2, "relaxation": 1.0}),
}


def runs(frame: pd.DataFrame, loss: str, name: str) -> pd.DataFrame:
    """At the ends of cycles."""
    rows = plot.train(frame[(frame["dataset.loss"] == loss) & (frame["optimizer"] == name)]).sort_values("step")
    return rows[rows["step"] % (K if name == "la_gda" else 1) == 0]


def local_factor(loss: str, name: str) -> float:
    """Of an oracle call near the solution, for the Wasserstein loss anywhere."""
    across, along = SLOPES[loss]
    A = np.array([[0.0, -across], [across, along]])
    settings = METHODS[name][1]
    wrappers = [{"_target_": f"lookahead_bench.optim.{wrapper}"} for wrapper in settings["wrappers"]]
    node = {"base": {"_target_": "torch.optim.SGD"}, "lr": LR, **settings, "wrappers": wrappers}
    return theory.factor_per_call(node, A, [[0], [1]])


def compare(frame: pd.DataFrame) -> list[Comparison]:
    found = []
    for loss, title in LOSSES.items():
        for name, (look, _) in METHODS.items():
            rows = runs(frame, loss, name)
            order = 4 if name == "past_extragradient" else 2  # two numbers that one step, or two, say
            near = (
                rows.iloc[order : 4 * order] if loss == "wasserstein" else rows[rows["distance"].between(1e-10, 1e-7)]
            )
            calls = near["oracle_calls"].diff().iloc[-1]
            measured = plot.recurrence(near["y"], order) ** (1 / calls)
            found.append(Comparison(f"Dirac-GAN, {title}, lr {LR:g}", plot.LOOKS[look].label, "factor per oracle call",
                                    measured, local_factor(loss, name)))  # fmt: skip
    return found


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 2, height=3.6)
    for i, (loss, title) in enumerate(LOSSES.items()):
        plane, distances = panels[2 * i], panels[2 * i + 1]
        for name, (key, _) in METHODS.items():
            rows, look = runs(frame, loss, name), plot.LOOKS[key]
            path = rows[rows["oracle_calls"] <= 60]
            plane.plot(path["x"], path["y"], color=look.colour, linestyle=look.line, linewidth=0.7)
            plot.curve(distances, rows[rows["oracle_calls"] <= 200], "distance", look, markers=5)
        plane.plot(TARGET, 0, marker="*", color="#000000", markersize=5, zorder=4)
        plane.set_xlim(-5.5, 1.5)
        plane.set_ylim(-3.2, 3.2)
        distances.set_yscale("log")
        distances.set_ylim(1e-9, 1e4)
        plot.log_ticks(distances)
        plane.set_ylabel(r"$\phi$")
        distances.set_ylabel("distance to the solution")
        plot.panel_title(plane, f"({'ab'[i]}) {title} loss, lr {LR:g}")
    panels[2].set_xlabel(r"$\theta$")
    panels[3].set_xlabel("oracle calls")
    plot.legend(figure, panels, 3)
    return figure

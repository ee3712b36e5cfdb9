"""Accuracy in the plane of one inner loop: its fast weights, and the slow ones that it starts and ends with.

From the checkpoints of runs that differ in their steps alone, N, N+1, ..., N+k, of which N and N+k are syncs: each is a
point of one trajectory. The plane goes through the first, the middle and the last fast weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from tqdm import tqdm

from lookahead_bench.build import resolve
from lookahead_bench.errors import RunError
from lookahead_bench.notices import no_bar
from lookahead_bench.report import plotting as plot
from lookahead_bench.runs import checkpoint
from lookahead_bench.tasks.base import Task

POINTS = 21  # along each side of the plane
MARGIN = 0.4  # around the path, in its own extent
FAST, SLOW = "#D55E00", "#0072B2"


class Plane:
    """Weights in coordinates: the first axis from the cycle's first weights to its last, the second across it."""

    def __init__(self, task: Task, path: Tensor) -> None:
        """path: [k+1, parameters], the fast weights before the first step and after each."""
        self.task, self.parameters = task, parameters_of(task)
        along, across = path[-1] - path[0], path[len(path) // 2] - path[0]
        across = across - along * (across @ along) / (along @ along)
        self.origin, self.axes = path[0], torch.stack([along / along.norm(), across / across.norm()])
        self.path = ((path - self.origin) @ self.axes.T).numpy()
        self.split, _ = next(iter(task.evaluate(0)))

    @torch.no_grad()
    def accuracy(self, x: float, y: float) -> float:
        """On the split for choosing, with BatchNorm statistics estimated for these weights."""
        weights = (self.origin + torch.tensor([x, y], dtype=torch.float64) @ self.axes).to(self.parameters[0])
        for parameter, part in zip(self.parameters, weights.split([p.numel() for p in self.parameters]), strict=True):
            parameter.copy_(part.view(parameter.shape))
        with self.task.restored_statistics(reestimate=True):
            _, scores = next(iter(self.task.evaluate(0)))
            return float(scores["accuracy"])


def parameters_of(task: Task) -> list[Tensor]:
    return [parameter for player in task.players.values() for parameter in player]


def draw(frame: pd.DataFrame) -> Figure:
    runs = frame.drop_duplicates("run_id").sort_values("max_steps")
    config = runs["config"].iloc[-1]
    alpha = config["optimizer"]["alpha"]
    task = resolve(config).task([config])
    path = torch.stack([weights(task, Path(one)) for one in runs["directory"]])
    path[-1] = path[0] + (path[-1] - path[0]) / alpha  # before the sync, which has made slow weights of them
    plane = Plane(task, path)
    figure, (surface, between) = plot.axes(2, width=2 * plot.WIDTH, height=2.5)
    draw_surface(figure, surface, plane, alpha)
    draw_between(between, plane, alpha)
    words = f"{config['dataset']['name']}, steps {runs['max_steps'].min():.0f} to {runs['max_steps'].max():.0f}"
    figure.supxlabel(f"{words}; the steps between are projected onto the plane", fontsize=6, color="#555555")
    return figure


def weights(task: Task, directory: Path) -> Tensor:
    """The weights that a run has ended with. Errors: RunError where its checkpoints are gone."""
    state = next(checkpoint.newest_first(directory / "checkpoints"), None)
    if state is None:
        raise RunError(f"{directory}: its checkpoint is needed, and gone; force=true makes it again")
    task.load_state_dict(state["task"])
    return torch.cat([parameter.detach().flatten().double().cpu() for parameter in parameters_of(task)])


def draw_surface(figure: Figure, ax: Axes, plane: Plane, alpha: float) -> None:
    low, high = plane.path.min(axis=0), plane.path.max(axis=0)
    margin = MARGIN * (high - low)
    x, y = (np.linspace(*ends, POINTS) for ends in zip(low - margin, high + margin, strict=True))
    places = tqdm([(a, b) for b in y for a in x], desc="accuracy in the plane", disable=no_bar(), leave=False)
    found = np.array([plane.accuracy(a, b) for a, b in places]).reshape(POINTS, POINTS)
    filled = ax.contourf(x, y, found, levels=12, cmap="Greys_r")
    figure.colorbar(filled, ax=ax, format=PercentFormatter(1.0, decimals=1, symbol=" %"))
    ax.plot(*plane.path.T, color=FAST, linestyle="--", marker="o", markersize=2.5, label="fast weights")
    end = alpha * plane.path[-1]
    ax.plot([0.0, end[0]], [0.0, end[1]], color=SLOW, marker="s", label="slow weights")
    ax.set_xlabel("from the first weights to the last")
    ax.set_ylabel("across")
    ax.legend(loc="upper right", framealpha=0.8)
    plot.panel_title(ax, f"{plane.split} accuracy")


def draw_between(ax: Axes, plane: Plane, alpha: float) -> None:
    """Along the line of the slow weights: what other values of alpha would have come to."""
    values = np.linspace(0.0, 1.5, POINTS)
    length = plane.path[-1][0]
    ax.plot(values, [plane.accuracy(a * length, 0.0) for a in values], color="#555555")
    for value, name, colour, marker in ((alpha, "slow weights", SLOW, "s"), (1.0, "fast weights", FAST, "o")):
        ax.plot(value, plane.accuracy(value * length, 0.0), color=colour, marker=marker, linestyle="", label=name)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1, symbol=" %"))
    ax.set_xlabel("alpha")
    ax.set_ylabel(f"{plane.split} accuracy")
    ax.legend(loc="best")
    plot.panel_title(ax, "on the line between")

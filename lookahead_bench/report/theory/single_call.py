"""Hsieh et al. 2019: extragradient and past extragradient, squared distance against oracle calls, three regimes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison
from lookahead_bench.tasks.saddle import linear_operator, start

PATH = "lookahead_bench.optim."
METHODS: dict[str, dict[str, Any]] = {
    "extragradient": {"wrappers": [{"_target_": PATH + "ProximalPoint"}], "inner": 2, "relaxation": 1.0},
    "past_extragradient": {"wrappers": [{"_target_": PATH + "PastExtragradient"}], "memory": "gradient"},
}


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(1, 3, height=4.8)
    frame = frame.assign(squared=frame["distance"] ** 2)
    draw_linear(panels[0], frame[frame["part"] == "strongly_monotone"])
    draw_ergodic(panels[1], frame[frame["part"].str.startswith("ergodic")])
    draw_stochastic(panels[2], frame[frame["part"].str.startswith("stochastic")])
    for ax in panels:
        ax.set_ylabel("squared distance")
        ax.set_xlabel("oracle calls")
    plot.legend(figure, panels[:1], 2)
    return figure


def node_of(run: pd.DataFrame) -> dict[str, Any]:
    lr, name = float(run["optimizer.lr"].iloc[0]), str(run["optimizer"].iloc[0])
    return {"base": {"_target_": "torch.optim.SGD"}, "lr": lr, **METHODS[name]}


def operator_of(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[Any]]:
    return linear_operator(int(frame["dataset.dim"].iloc[0]), int(frame["dataset.data_seed"].iloc[0]))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """The strongly monotone problem is linear: the method's matrix gives the very point after every step."""
    frame = plot.final(frame[frame["part"] == "strongly_monotone"])
    A, found = operator_of(frame), []
    for _, end in frame.groupby(["optimizer", "optimizer.lr"]):
        node = node_of(end)
        matrix, _ = theory.linear_map(node, A)
        z = start(int(end["seed"].iloc[0]), len(A) // 2, float(end["dataset.radius"].iloc[0])).ravel()
        state = np.concatenate([z, np.zeros(2 * len(z))])
        last = np.linalg.matrix_power(matrix, int(end["step"].iloc[0])) @ state
        found.append(
            Comparison(f"saddle, strongly monotone, lr {node['lr']:g}", plot.LOOKS[end["optimizer"].iloc[0]].label,
                       f"distance after {end['oracle_calls'].iloc[0]:.0f} oracle calls", end["distance"].iloc[0],
                       float(np.linalg.norm(last[: len(z)])))
        )  # fmt: skip
    return found


def draw_linear(ax: Any, frame: pd.DataFrame) -> None:
    A = operator_of(frame)
    for _, mine in plot.train(frame).groupby(["optimizer", "optimizer.lr"]):
        node, name = node_of(mine), str(mine["optimizer"].iloc[0])
        lr = node["lr"]
        factor = theory.factor_per_call(node, A) ** 2
        mean = mine.groupby("oracle_calls")["squared"].mean()
        look = plot.LOOKS[name]
        tail = np.array([40.0, 100.0])
        plot.line(ax, tail, mean.iloc[-1] * factor ** (tail - mean.index[-1]), look)
        shown = mean.iloc[:: max(1, len(mean) // 10)]
        plot.points(ax, shown.index, shown, look, label=f"{look.label}" if lr == 0.4 else None)
        offset = 4, 2 if name == "extragradient" else -6
        ax.annotate(rf"$\gamma = {lr:g}$", (shown.index[-1], shown.iloc[-1]), xytext=offset,
                    textcoords="offset points", fontsize=6, color=look.colour)  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlim(0, 116)
    ax.set_ylim(1e-25, 1)
    plot.log_ticks(ax)
    plot.panel_title(ax, "(a) strongly monotone, last iterate; line: spectral radius")


def draw_ergodic(ax: Any, frame: pd.DataFrame) -> None:
    ends = plot.final(frame, "average")
    for name in METHODS:
        mine = ends[ends["optimizer"] == name].sort_values("oracle_calls")
        look = plot.LOOKS[name]
        ax.plot(mine["oracle_calls"], mine["squared"], color=look.colour, linestyle=look.line, marker=look.marker,
                markerfacecolor="white")  # fmt: skip
    guide(ax, np.array([30.0, 1000.0]), float(ends["squared"].max()) * 1.2)
    plot.panel_title(ax, "(b) monotone, mean of the iterates")


def draw_stochastic(ax: Any, frame: pd.DataFrame) -> None:
    for name in METHODS:
        mine = plot.train(frame)
        mine = mine[(mine["optimizer"] == name) & (mine["oracle_calls"] > 0)]
        mean = mine.groupby("oracle_calls")["squared"].mean()
        look = plot.LOOKS[name]
        ax.plot(mean.index, mean, color=look.colour, linestyle=look.line, linewidth=0.8)
        marks = mean.iloc[np.unique(np.geomspace(1, len(mean), 8).astype(int) - 1)]
        plot.points(ax, marks.index, marks, look)
    guide(ax, np.array([200.0, 10000.0]), float(mean[mean.index <= 200].iloc[-1]) * 3)
    plot.panel_title(ax, r"(c) noise, step $\propto 1 / (t + 15)$, last iterate")


def guide(ax: Any, calls: np.ndarray, start: float) -> None:
    """A 1/t line."""
    ax.plot(calls, start * calls[0] / calls, color="#777777", linewidth=0.8, linestyle=":")
    ax.annotate("1/t", (calls[1], start * calls[0] / calls[1]), xytext=(3, -2), textcoords="offset points",
                fontsize=6, color="#555555")  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")

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
SHIFT = 15  # b of the step g / (t + b)


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 3, height=5.4, sharey="row", sharex="row")
    frame = frame.assign(squared=frame["distance"] ** 2, g=frame["optimizer.lr"] * SHIFT)
    linear = plot.train(frame[frame["part"] == "strongly_monotone"])
    ergodic = frame[frame["part"].str.startswith("ergodic") & (frame["weights"] == "average")]
    stochastic = plot.train(frame[frame["part"].str.startswith("stochastic")])
    titles = "(a) strongly monotone", "(b) monotone, the mean", r"(c) noise, step $g / (t + 15)$"
    for column, name in enumerate(METHODS):
        first, second, third = panels[column::2]
        draw_linear(first, linear[linear["optimizer"] == name])
        draw_steps(second, ergodic[ergodic["optimizer"] == name], "optimizer.lr", r"\gamma")
        draw_steps(third, stochastic[stochastic["optimizer"] == name], "g", "g")
        for ax, title in zip((first, second, third), titles, strict=True):
            plot.panel_title(ax, title if column == 0 else plot.LOOKS[name].label)
            ax.set_xlabel("oracle calls")
            if column == 0:
                ax.set_ylabel(f"squared distance, {plot.LOOKS[name].label}")
    return figure


def node_of(run: pd.DataFrame) -> dict[str, Any]:
    lr, name = float(run["optimizer.lr"].iloc[0]), str(run["optimizer"].iloc[0])
    return {"base": {"_target_": "torch.optim.SGD"}, "lr": lr, **METHODS[name]}


def operator_of(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[Any]]:
    return linear_operator(int(frame["dataset.dim"].iloc[0]), int(frame["dataset.data_seed"].iloc[0]))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """The strongly monotone problem is linear: the method's matrix gives the very point after every step."""
    frame = plot.final(frame[(frame["part"] == "strongly_monotone") & (frame["seed"] == frame["seed"].min())])
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
    """Grey: the method's spectral radius, back from the last point."""
    A = operator_of(frame)
    for i, (lr, mine) in enumerate(frame.groupby("optimizer.lr")):
        factor = theory.factor_per_call(node_of(mine), A) ** 2
        look = shade(str(mine["optimizer"].iloc[0]), i)
        mean = mine.groupby("oracle_calls")["squared"].mean()
        tail = np.array([40.0, 100.0])
        ax.plot(tail, mean.iloc[-1] * factor ** (tail - mean.index[-1]), color="#777777", linewidth=2.5, alpha=0.4)
        plot.curve(ax, mine, "squared", look)
        annotate(ax, mean, rf"$\gamma = {lr:g}$", look, i)
    ax.set_yscale("log")
    ax.set_xlim(0, 150)
    ax.set_xticks([0, 50, 100])
    ax.set_ylim(1e-22, 1)
    plot.log_ticks(ax)


def draw_steps(ax: Any, frame: pd.DataFrame, size: str, symbol: str) -> None:
    """Every step, the band between the extreme seeds, and 1 / t."""
    frame = frame[frame["oracle_calls"] > 0]
    for i, (value, mine) in enumerate(frame.groupby(size)):
        look = shade(str(mine["optimizer"].iloc[0]), i)
        spread = mine.groupby("oracle_calls")["squared"].agg(["mean", "min", "max"])
        ax.plot(spread.index, spread["mean"], color=look.colour, linestyle=look.line, linewidth=0.8)
        ax.fill_between(spread.index, spread["min"], spread["max"], color=look.colour, alpha=0.15, linewidth=0)
        marks = spread["mean"].iloc[np.unique(np.geomspace(1, len(spread), 5).astype(int) - 1)]
        plot.points(ax, marks.index, marks, look)
        annotate(ax, spread["mean"], f"${symbol} = {value:.2g}$", look, i)
    last, level = frame["oracle_calls"].max(), float(frame["squared"].max())
    ax.plot([last / 30, last], [level, level / 30], color="#777777", linewidth=0.8, linestyle=":")
    ax.annotate("1/t", (last / 30, level), xytext=(4, -3), textcoords="offset points", fontsize=6, color="#555555")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(right=last * 8)
    plot.log_ticks(ax, "x")


def shade(name: str, i: int) -> plot.Look:
    """The method's look for the i-th of five steps: a colour of its own, and a marker."""
    look = plot.LOOKS[name]
    return look._replace(colour=plot.paler(look.colour, 0.5 - 0.12 * i), marker="os^Dv"[i])


def annotate(ax: Any, mean: pd.Series, words: str, look: plot.Look, i: int) -> None:
    """At the curve's end, the i-th of five a little apart from its neighbours."""
    ax.annotate(words, (mean.index[-1], mean.iloc[-1]), xytext=(4, (-2, -2, 0, -5, 3)[i]), textcoords="offset points",
                fontsize=5.5, color=look.colour)  # fmt: skip

"""Multilayer Lookahead 2021: where implicit regularisation is amplified, and squared gradients under rate 1/sqrt(t)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

N, ALPHA = 10, 0.5
LAYERS: dict[str, tuple[Any, int]] = {"sgd": (1, 0), "lookahead": (10, 1), "multilayer": ([10, 5], 2)}
RATE_LAYERS: dict[str, tuple[Any, Any]] = {"sgd": (1, 1.0), "lookahead": (5, 0.5), "multilayer": ([5, 5], 0.5)}


def draw(frame: pd.DataFrame) -> Figure:
    figure, (flat, amplified, quadratic, nonconvex) = plot.axes(2, 2, height=3.9)
    draw_drift(flat, regularisation(frame))
    draw_amplification(amplified, frame)
    draw_rate(quadratic, plot.train(frame[frame["part"] == "rate"]), closed_form=True)
    draw_rate(nonconvex, plot.train(frame[frame["part"] == "nonconvex"]), closed_form=False)
    plot.panel_title(quadratic, r"(c) quadratic, lr $t^{-1/2}$")
    plot.panel_title(nonconvex, r"(d) not convex, lr $t^{-1/2}$")
    plot.legend(figure, [flat], 3)
    return figure


def regularisation(frame: pd.DataFrame) -> pd.DataFrame:
    return plot.final(frame[frame["part"].str.startswith("regularisation")])


def drift(name: str, effective: float) -> float:
    """-log(x_T / x_0) for each unit of effective time, alpha^layers lr T; the loss itself is flat."""
    k, depth = LAYERS[name]
    epoch = (1 - (effective / ALPHA**depth) ** 2) ** (N / 2)
    if depth == 0:
        return float(-np.log(epoch) / (N * effective))
    outer = k[1:] if isinstance(k, list) else []  # the innermost layer's cycle is one epoch
    return float(-np.log(theory.lookahead(epoch, [1, *outer], ALPHA).real) / (np.prod(k) * effective))


def measured_drift(ends: pd.DataFrame, name: str) -> dict[float, float]:
    """The same of the runs, by effective learning rate."""
    mine = ends[ends["optimizer"] == name].sort_values("optimizer.lr")
    effective = ALPHA ** LAYERS[name][1] * mine["optimizer.lr"]
    found = -np.log(mine["distance"]) / (mine["step"] * effective)
    return dict(zip(effective, found, strict=True))


def compare(frame: pd.DataFrame) -> list[Comparison]:
    ends = regularisation(frame)
    drifts = [
        Comparison(f"flat finite sum, effective lr {effective:g}", plot.LOOKS[name].label, "drift", value,
                   drift(name, effective))
        for name in LAYERS
        for effective, value in measured_drift(ends, name).items()
    ]  # fmt: skip
    rows = plot.train(frame[frame["part"] == "rate"])
    steps = int(rows["step"].max())
    means = []
    for name in RATE_LAYERS:
        mine = rows[(rows["optimizer"] == name) & (rows["step"] > 0)]
        seeds = (mine["operator_norm"] ** 2).groupby(mine["run_id"]).mean()
        means.append(
            Comparison("noisy quadratic, rate 1/sqrt(t)", plot.LOOKS[name].label,
                       f"mean squared gradient, {steps} steps", seeds.mean(), squared_gradient(rows, name)[-1],
                       float(seeds.std(ddof=1) / len(seeds) ** 0.5))
        )  # fmt: skip
    amplified = [
        Comparison(f"flat finite sum of {n}", f"Lookahead, k {k}", "drift over SGD's", mean, amplification(n, k),
                   sem)
        for (n, k), mean, sem in measured_amplification(frame).itertuples()
    ]  # fmt: skip
    return [*drifts, *means, *amplified]


def amplification(n: float, k: Any) -> Any:
    """Drift of one layer over SGD's at the same effective rate: 1 + (1/alpha - 1)(k - 1)/(n - 1), up to 1/alpha.

    Pairs of batches of one epoch, drawn without replacement, drive it: alpha counts once for a pair in one cycle, as
    (k - 1)/(n - 1) of them are where k divides n, and twice for a pair in two. To second order in lr sqrt(n).
    """
    return 1 + (1 / ALPHA - 1) * np.minimum(1, (np.asarray(k) - 1) / (n - 1))


def measured_amplification(frame: pd.DataFrame) -> pd.DataFrame:
    """The drift over SGD's by (n, k): mean and standard error over seeds."""
    ends = plot.final(frame[frame["part"].str.startswith("amplification")])
    effective = ALPHA * ends["optimizer.lr"]
    ratio = -np.log(ends["distance"]) / ends["step"] / (-np.log(1 - effective**2) / 2)
    sizes = [ends["dataset.n"].astype(int), ends["optimizer.k"].astype(int)]
    return pd.DataFrame(ratio.groupby(sizes).agg(["mean", "sem"]))


def draw_amplification(ax: Any, frame: pd.DataFrame) -> None:
    found, look = measured_amplification(frame), plot.LOOKS["lookahead"]
    grid = np.geomspace(1, 1000, 300)
    for n, style in ((10, "-"), (100, "--"), (703, ":")):
        ax.plot(grid, amplification(n, grid), color=look.colour, linestyle=style)
        at = 1 + (0.65 if n > 100 else 0.85) * (n - 1)
        ax.annotate(f"n={n}", (at, amplification(n, at)), xytext=(-2, 0), textcoords="offset points", ha="right",
                    fontsize=6, color="#555555")  # fmt: skip
    for (n, k), mean, sem in found.itertuples():
        plot.points(ax, [k], [mean], look._replace(marker="^" if n == 10 else "v"), error=[2 * sem])
    ax.plot(5, amplification(703, 5), marker="*", color="#000000", markersize=5, zorder=4)
    ax.annotate("CIFAR, k = 5", (5, amplification(703, 5)), xytext=(0, -3), textcoords="offset points", fontsize=6,
                va="top", ha="center")  # fmt: skip
    ax.set_xscale("log")
    ax.set_ylim(0.85, 2.1)
    ax.set_xlabel("inner steps k")
    ax.set_ylabel("drift / SGD's")
    plot.panel_title(ax, "(b) n batches an epoch")


def draw_drift(ax: Any, ends: pd.DataFrame) -> None:
    grid = np.geomspace(0.01, 0.12, 100)
    for name in LAYERS:
        look = plot.LOOKS[name]
        plot.line(ax, grid, [drift(name, effective) for effective in grid], look)
        found = measured_drift(ends, name)
        plot.points(ax, list(found), list(found.values()), look, label=look.label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.01, 0.03, 0.1], ["0.01", "0.03", "0.1"])
    ax.minorticks_off()
    ax.set_xlabel("effective learning rate")
    ax.set_ylabel("drift per effective time")
    plot.panel_title(ax, "(a) flat loss")


def squared_gradient(frame: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The closed form of the mean over t = 1 ... T of E|grad|^2, for T = 1, 2, ..."""
    dim, t = int(frame["dataset.dim"].iloc[0]), np.arange(1, int(frame["step"].max()) + 1)
    curvature = 1 / np.arange(1.0, dim + 1)
    path = theory.noisy_path(curvature, 1 / curvature, t**-0.5, *RATE_LAYERS[name], np.ones(dim))
    return np.cumsum((curvature**2 * path).sum(1)) / t


def mean_squared_gradient(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean over t <= T of the squared gradient, a column a seed, by T: over the rows, where long runs are thinned."""
    mine = frame[(frame["optimizer"] == name) & (frame["step"] > 0)]
    return mine.pivot(index="step", columns="run_id", values="operator_norm").pow(2).expanding().mean()


def slope(frame: pd.DataFrame, name: str) -> tuple[float, float]:
    """Exponent of the fall over the last decade, and its standard error over seeds."""
    found = mean_squared_gradient(frame, name).map(np.log)
    last = int(found.index[-1])
    first = int(found.index[int(np.abs(found.index - last / 10).argmin())])
    slopes = (found.loc[last] - found.loc[first]) / np.log(last / first)
    return float(slopes.mean()), float(slopes.sem())


def draw_rate(ax: Any, frame: pd.DataFrame, *, closed_form: bool) -> None:
    steps = int(frame["step"].max())
    for row, name in enumerate(RATE_LAYERS):
        look, found = plot.LOOKS[name], mean_squared_gradient(frame, name)
        if closed_form:
            plot.line(ax, np.arange(1, steps + 1), squared_gradient(frame, name), look)
        else:
            plot.line(ax, found.index, found.mean(axis=1), look)
        shown = found.iloc[np.unique(np.geomspace(5, len(found), 8).astype(int)) - 1]
        plot.points(ax, shown.index, shown.mean(axis=1), look, error=2 * shown.sem(axis=1))
        ax.annotate(f"$T^{{{slope(frame, name)[0]:.2f}}}$", (0.03, 0.03 + 0.09 * row), xycoords="axes fraction",
                    color=look.colour, fontsize=6)  # fmt: skip
    t = np.array([steps / 20, steps])
    guide = 0.6 * mean_squared_gradient(frame, "sgd").iloc[-1].mean() * (t / steps) ** -0.5
    ax.plot(t, guide, color="#777777", linestyle=":", linewidth=0.8)
    ax.annotate(r"$T^{-1/2}$", (t[0], guide[0]), fontsize=6, color="#555555", ha="right", va="center")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("oracle calls T")
    ax.set_ylabel("mean squared gradient")

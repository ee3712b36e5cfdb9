"""Lookahead 2019, the noisy quadratic: the rate against the final loss, steady states, and runs of equal final loss."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

METHODS: dict[str, tuple[Any, Any]] = {"sgd": (1, 1.0), "lookahead": (5, 0.5), "multilayer": ([5, 5], 0.5)}
PERIOD = 25  # all of them have just synced
DIM = 100  # of panels a, b and d, as curvatures 1/i; the paper's is not known
BEGINNING = 1000  # steps until the slowest variances are nearly there; the closed form counts what still lacks
ALPHAS = np.linspace(0.01, 1, 100)
TARGETS = np.geomspace(0.06, 2.5, 60)  # final losses

Array = np.ndarray[Any, np.dtype[Any]]


def draw(frame: pd.DataFrame) -> Figure:
    figure, panels = plot.axes(2, 2, height=4.0)
    found = pd.DataFrame(measured(frame))
    draw_rates(panels[0], found)
    draw_saved(panels[1], found)
    draw_steady(panels[2], frame[frame["part"] == "steady"])
    draw_matched(panels[3], frame[frame["part"].str.startswith("matched")])
    plot.legend(figure, panels[1:2], 2)
    return figure


def compare(frame: pd.DataFrame) -> list[Comparison]:
    steadies = frame[frame["part"] == "steady"]
    dim = int(steadies["dataset.dim"].iloc[0])
    steady_states = [
        Comparison(f"noisy quadratic, lr {lr:g}", plot.LOOKS[name].label, "steady-state excess loss", mean,
                   steady(name, dim, lr), sem)
        for name in METHODS
        for lr, mean, sem in measured_steady(steadies, name).itertuples()
    ]  # fmt: skip
    for one in measured(frame):
        problem, method = f"noisy quadratic in {DIM} dimensions, lr {one['lr']:g}", plot.LOOKS[one["optimizer"]].label
        if one["optimizer"] != "sgd":
            method += f", alpha {one['alpha']}"
        steady_states += [
            Comparison(
                problem, method, f"excess loss, from step {BEGINNING} on", one["final"], one["expected"], one["sem"]
            ),
            Comparison(problem, method, "factor per step of the mean", one["factor"], one["slowest"]),
        ]
    return steady_states


# ------------------------------------------------------------------------------- (a), (b): rate against final loss


def excess(curvature: Array, moments: tuple[Array, Array]) -> Any:
    """Expected loss above its smallest value, dim / 2; of every rate where the moments have a row for each."""
    mean, variance = moments
    return (curvature * (mean**2 + variance)).sum(-1) / 2


def steps_of(k: Any) -> int:
    return int(np.prod(k))


def times(k: Any, alpha: Any) -> Array:
    """Oracle calls in which the slowest mean falls by a factor e, for each of TARGETS; nan where no lr ends there.

    lr follows from the match: the final loss rises with lr, so there is one.
    """
    curvature, rates = 1 / np.arange(1.0, DIM + 1), np.geomspace(0.02, 1.95, 150)[:, None]
    cycle = theory.noisy_cycle(curvature, 1 / curvature, rates, k, alpha)  # type: ignore[arg-type]  # of every rate
    finals = excess(curvature, (np.zeros(DIM), cycle.steady_variance()))
    took = -steps_of(k) / np.log(np.abs(cycle.m).max(-1))
    return np.asarray(np.exp(np.interp(np.log(TARGETS), np.log(finals), np.log(took), left=np.nan, right=np.nan)))


@functools.cache
def every_alpha() -> dict[float, Array]:
    return {alpha: times(5, alpha) for alpha in ALPHAS}


def faint(alpha: float) -> dict[str, Any]:
    """A line of one of the 100 alphas, the darker the larger."""
    return {"color": plot.LOOKS["lookahead"].colour, "alpha": 0.1 + 0.25 * alpha, "linewidth": 0.3, "zorder": 1}


def best_times(layers: int) -> Array:
    """The fastest of 100 alphas at each target, or of 34 x 34 of two layers, which contain one (alpha = 1 is none)."""
    one = list(every_alpha().values())
    two = [times([5, 5], (a, b)) for a in ALPHAS[::3] for b in ALPHAS[::3]] if layers == 2 else []
    return np.asarray(np.nanmin([*one, *two], axis=0))


def measured(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Of every method and lr the final loss with its standard error, the factor per step, and both closed forms."""
    curvature = 1 / np.arange(1.0, DIM + 1)
    rows = plot.train(frame)
    for name in METHODS:
        noisy, noiseless = (rows[rows["part"] == f"{part}_{name}"] for part in ("final", "rate"))
        keys = ["optimizer.lr", "optimizer.alpha"] if name != "sgd" else ["optimizer.lr"]
        for settings, runs in noisy.groupby(keys):
            lr, alpha = float(runs["optimizer.lr"].iloc[0]), runs["optimizer.alpha"].iloc[0] if name != "sgd" else 1.0
            k, steps = METHODS[name][0], steps_of(METHODS[name][0])
            late = runs[(runs["step"] > BEGINNING) & (runs["step"] % steps == 0)]
            seeds = late.groupby("run_id")["expected_loss"].mean() - DIM / 2
            cycle = theory.noisy_cycle(curvature, 1 / curvature, lr, k, alpha)
            start = np.zeros(DIM), np.zeros(DIM)
            expected = [excess(curvature, cycle.after(step // steps, *start)) for step in late["step"].unique()]
            means = noiseless[(noiseless[keys] == list(settings)).all(axis=1)].iloc[::steps]
            yield {
                "optimizer": name, "lr": lr, "alpha": alpha, "final": seeds.mean(), "sem": seeds.sem(),
                "expected": float(np.mean(expected)), "slowest": float(np.abs(cycle.m).max() ** (1 / steps)),
                "factor": max(plot.recurrence(means[x], 1) for x in ("x", "y")) ** (1 / steps),
            }  # fmt: skip


def draw_rates(ax: Any, found: pd.DataFrame) -> None:
    for alpha, took in every_alpha().items():
        ax.plot(TARGETS, 1 - np.exp(-1 / took), **faint(alpha))
    plot.line(ax, TARGETS, 1 - np.exp(-1 / times(1, 1.0)), plot.LOOKS["sgd"])
    plot.line(ax, TARGETS, 1 - np.exp(-1 / best_times(2)), plot.LOOKS["multilayer"])
    for name in METHODS:
        mine = found[found["optimizer"] == name]
        plot.points(ax, mine["final"], 1 - mine["factor"], plot.LOOKS[name])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(1e-4, 0.03)
    ax.set_xlabel(r"final loss above $d / 2$")
    ax.set_ylabel(r"rate, $1 - \rho$ per oracle call")
    plot.panel_title(ax, r"(a) rate; $\alpha = 0.01$ to $1$")


def draw_saved(ax: Any, found: pd.DataFrame) -> None:
    """How much sooner than SGD with the lr of the same final loss; measured points against SGD's line."""
    sgd = times(1, 1.0)
    for alpha, took in every_alpha().items():
        ax.plot(TARGETS, 100 * (1 - took / sgd), **faint(alpha))
    half = plot.LOOKS["lookahead"]._replace(line=":", label=r"Lookahead, $\alpha = 0.5$")
    for look, took in (
        (plot.LOOKS["sgd"], sgd),
        (half, times(5, 0.5)),
        (plot.LOOKS["lookahead"]._replace(label=r"Lookahead, best $\alpha$"), best_times(1)),
        (plot.LOOKS["multilayer"]._replace(label=r"Two layers, best $\alpha$s"), best_times(2)),
    ):
        plot.line(ax, TARGETS, 100 * (1 - took / sgd), look)
        plot.points(ax, [], [], look, label=look.label)
    for name in METHODS:
        mine = found[found["optimizer"] == name]
        low, saved, high = (
            100 * (1 + 1 / np.log(mine["factor"]) / np.interp(mine["final"] + errors * mine["sem"], TARGETS, sgd))
            for errors in (-2, 0, 2)
        )
        error = [np.maximum(0, saved - np.minimum(low, high)), np.maximum(0, np.maximum(low, high) - saved)]
        plot.points(ax, mine["final"], saved, plot.LOOKS[name], error=error)
    ax.set_xscale("log")
    ax.set_ylim(-40, 32)
    ax.set_xlabel(r"final loss above $d / 2$")
    ax.set_ylabel("oracle calls saved, %")
    plot.panel_title(ax, "(b) saved against SGD")


# ----------------------------------------------------------------------------------- (c), (d): runs with noise


def steady(name: str, dim: int, lr: float) -> float:
    curvature = 1 / np.arange(1.0, dim + 1)
    cycle = theory.noisy_cycle(curvature, 1 / curvature, lr, *METHODS[name])
    return float(excess(curvature, (np.zeros(dim), cycle.steady_variance())))


def measured_steady(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean and standard error over seeds of each one's mean excess loss, by learning rate."""
    late = plot.train(frame[frame["optimizer"] == name])
    late = late[(late["step"] > 100) & (late["step"] % PERIOD == 0)]
    seeds = late.groupby(["optimizer.lr", "run_id"])["expected_loss"].mean() - late["dataset.dim"].iloc[0] / 2
    return pd.DataFrame(seeds.groupby("optimizer.lr").agg(["mean", "sem"]))


def draw_steady(ax: Any, frame: pd.DataFrame) -> None:
    dim = int(frame["dataset.dim"].iloc[0])
    grid = np.linspace(0.35, 1.5, 100)
    for name in METHODS:
        look = plot.LOOKS[name]
        plot.line(ax, grid, [steady(name, dim, lr) for lr in grid], look)
        found = measured_steady(frame, name)
        plot.points(ax, found.index, found["mean"], look, error=2 * found["sem"])
    ax.set_yscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel(r"final loss above $d / 2$")
    plot.panel_title(ax, rf"(c) equal rate, {dim} dim.")


def draw_matched(ax: Any, frame: pd.DataFrame) -> None:
    frame = plot.train(frame)
    dim = int(frame["dataset.dim"].iloc[0])
    curvature = 1 / np.arange(1.0, dim + 1)
    for name, (k, alpha) in METHODS.items():
        mine = frame[frame["optimizer"] == name]
        look, lr = plot.LOOKS[name], float(mine["optimizer.lr"].iloc[0])
        cycle = theory.noisy_cycle(curvature, 1 / curvature, lr, k, alpha)
        steps = steps_of(k)
        cycles = np.arange(0, int(mine["step"].max()) // steps + 1)
        start = np.ones(dim), np.zeros(dim)
        plot.line(ax, cycles * steps, [excess(curvature, cycle.after(int(c), *start)) for c in cycles], look)
        found = (mine.groupby("oracle_calls")["expected_loss"].agg(["mean", "sem"])).loc[::25]
        plot.points(ax, found.index, found["mean"] - dim / 2, look, error=2 * found["sem"])
    floor = excess(curvature, (np.zeros(dim), cycle.steady_variance()))  # of the last, and so of all
    ax.axhline(floor, color="#777777", linewidth=0.8, linestyle=":", zorder=1)
    ax.annotate("where all three end", (200, floor), fontsize=6, color="#555555", ha="right", va="top",
                xytext=(0, -2), textcoords="offset points")  # fmt: skip
    ax.set_ylim(0.5, 1.7)  # all start at 2.6
    ax.set_xlabel("oracle calls")
    ax.set_ylabel(r"loss above $d / 2$")
    plot.panel_title(ax, r"(d) equal final loss")

"""Linear VAE 2019 on digits: ELBO against the optimum of pPCA at fixed and learned noise, and what collapses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench import theory
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison
from lookahead_bench.tasks.linear_vae import principal_components

LOOKS = {"analytic": plot.LOOKS["extragradient"]._replace(label="analytic ELBO"),
         "sampled": plot.LOOKS["rapp"]._replace(label="sampled ELBO")}  # fmt: skip
SHOWN = (0.02, 0.2)  # observation noise of panel (a)
GREY = "#777777"
MARKERS = "os^Dv"


def at_the_end(frame: pd.DataFrame, part: str) -> pd.DataFrame:
    return plot.final_of(frame[frame["part"] == part], "val")


def compare(frame: pd.DataFrame) -> list[Comparison]:
    """The dimensions that survive at fixed noise: those of pPCA, the mean over restarts."""
    ends = at_the_end(frame, "analytic").groupby("dataset.noise_variance")[["active", "ppca_active"]].mean()
    return [
        Comparison(f"linear VAE on digits, noise {s2:g}", "Adam, analytic ELBO", "active dimensions", active, optimum)
        for s2, active, optimum in ends.itertuples()
    ]


def draw(frame: pd.DataFrame) -> Figure:
    figure, (gap, active, learned, noise, epsilon, sizes) = plot.axes(2, 3, height=5.2)
    draw_gap(gap, frame)
    draw_active(active, frame)
    ends = at_the_end(frame, "learned").sort_values("dataset.latent")
    draw_learned(learned, ends, "gap", "pPCA optimum - ELBO, nats")
    learned.set_yscale("log")
    plot.log_ticks(learned)
    plot.panel_title(learned, "(c) noise learned: gap")
    latent = np.sort(ends["dataset.latent"].unique())
    _, eigenvalues = principal_components("digits", ".")
    best = [theory.ppca_optimum(eigenvalues, int(q))[2] for q in latent]
    noise.plot(latent, best, color=GREY, linewidth=2.5, alpha=0.4)
    draw_learned(noise, ends, "noise_variance", r"learned $\sigma^2$")
    noise.set_yscale("log")
    plot.log_ticks(noise)
    noise.set_ylim(1e-3, 0.1)
    plot.panel_title(noise, "(d) noise")
    thresholds = at_the_end(frame, "analytic")
    draw_thresholds(epsilon, thresholds, 10)
    plot.panel_title(epsilon, r"(e) noise fixed: over $\epsilon$")
    sizes.plot(latent, latent, color=GREY, linewidth=2.5, alpha=0.4)
    draw_learned(sizes, ends, "active", "active dimensions")
    plot.panel_title(sizes, "(f) dimensions")
    for ax in (learned, noise, sizes):
        ax.set_xlabel("latent size")
    sizes.legend(loc="upper left", title="start", title_fontsize=6)
    plot.legend(figure, [active], 3)
    return figure


def draw_gap(ax: Any, frame: pd.DataFrame) -> None:
    """The mean over restarts and the band between the extreme ones."""
    for part, look in LOOKS.items():
        rows = frame[(frame["part"] == part) & (frame["split"] == "train")]
        for s2 in SHOWN:
            run = rows[rows["dataset.noise_variance"] == s2]
            faint = look._replace(colour=plot.paler(look.colour, 0.0 if s2 == SHOWN[0] else 0.5), marker="")
            plot.curve(ax, run, "gap", faint)
            last = run[run["oracle_calls"] == run["oracle_calls"].max()]
            ax.annotate(rf"$\sigma^2 = {s2:g}$", (last["oracle_calls"].iloc[0], last["gap"].mean()), fontsize=6,
                        color=faint.colour, va="center", xytext=(3, 0), textcoords="offset points")  # fmt: skip
    ax.set_xlim(0, 1.5 * frame["oracle_calls"].max())  # room for the words
    ax.set_xticks([0, 1000, 2000])
    ax.set_yscale("log")
    plot.log_ticks(ax)
    ax.set_xlabel("oracle calls")
    ax.set_ylabel("pPCA optimum - ELBO, nats")
    plot.panel_title(ax, "(a) noise fixed: gap")


def draw_active(ax: Any, frame: pd.DataFrame) -> None:
    """Bars: the extreme restarts."""
    for part, look in LOOKS.items():
        ends = at_the_end(frame, part).groupby("dataset.noise_variance")
        found, optimum = ends["active"].agg(["mean", "min", "max"]), ends["ppca_active"].mean()
        if part == "analytic":
            ax.plot(optimum.index, optimum, color=GREY, linewidth=2.5, alpha=0.4, label="pPCA")
        error = [found["mean"] - found["min"], found["max"] - found["mean"]]
        plot.points(ax, found.index, found["mean"], look, error=error, label=look.label)
    ax.set_xscale("log")
    ax.set_xticks([0.02, 0.1, 0.5], ["0.02", "0.1", "0.5"])
    ax.minorticks_off()
    ax.set_xlabel(r"observation noise $\sigma^2$")
    ax.set_ylabel("active dimensions of 10")
    plot.panel_title(ax, "(b) dimensions")


def draw_learned(ax: Any, ends: pd.DataFrame, value: str, label: str) -> None:
    """Every restart, by where the noise started."""
    for i, (start, mine) in enumerate(ends.groupby("dataset.noise_variance")):
        look = plot.Look(rf"$\sigma^2 = {start:g}$", plot.COLOURS[i], MARKERS[i], "-")
        ax.plot(mine["dataset.latent"] * 1.06 ** (i - 1), mine[value], color=look.colour, marker=look.marker,
                markerfacecolor="none", linestyle="none", markeredgewidth=0.6, label=look.label)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks([2, 5, 10, 20, 40], ["2", "5", "10", "20", "40"])
    ax.minorticks_off()
    ax.set_ylabel(label)


def draw_thresholds(ax: Any, ends: pd.DataFrame, latent: int) -> None:
    """The share of dimensions whose threshold lies below epsilon, the mean over restarts; a line each noise."""
    grid = np.geomspace(1e-3, 30, 200)
    for i, (s2, mine) in enumerate(ends.groupby("dataset.noise_variance")):
        found = mine[[f"kl_{j}" for j in range(1, latent + 1)]].to_numpy(dtype=float)
        share = 100 * (found[None] < grid[:, None, None]).mean((1, 2))
        ax.plot(grid, share, color=plot.COLOURS[i], linewidth=0.9, marker=MARKERS[i], markevery=(8 * i, 40),
                markerfacecolor="white", label=rf"$\sigma^2 = {s2:g}$")  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(right=1e6)  # room for the legend
    ax.set_xticks([1e-3, 1e-2, 1e-1, 1, 10], ["0.001", "", "0.1", "", "10"])
    ax.minorticks_off()
    ax.set_xlabel(r"$\epsilon$, nats ($\delta = 0.01$)")
    ax.set_ylabel("collapsed, %")
    ax.legend(loc="lower right", fontsize=5, handlelength=1.4)

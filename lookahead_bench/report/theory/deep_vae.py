"""Linear VAE 2019 on MNIST: a deep Gaussian VAE at fixed and at learned observation noise, beside pPCA."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot
from lookahead_bench.report.theory.linear_vae import GREY, MARKERS, draw_thresholds

LINEAR = plot.LOOKS["extragradient"]._replace(label="linear VAE", line="none")
DEEP = plot.LOOKS["rapp"]._replace(label="deep VAE (test images)", line="none")
LATENT = 20


def ends(frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """The last scores by the noise: of the deep VAE on the test images, of the linear one on those that it has seen."""
    split = "val" if part.startswith("linear") else "test"
    return plot.final_of(frame[frame["part"] == part], split).sort_values("dataset.noise_variance")


def draw(frame: pd.DataFrame) -> Figure:
    figure, (active, gap, noise, epsilon) = plot.axes(2, 2, height=3.9)
    linear, deep, learned = ends(frame, "linear"), ends(frame, "deep"), ends(frame, "learned")
    optimum = (linear["elbo"] + linear["gap"]).set_axis(linear["dataset.noise_variance"])
    active.plot(linear["dataset.noise_variance"], linear["ppca_active"], color=GREY, linewidth=2.5, alpha=0.4,
                label="pPCA")  # fmt: skip
    gap.axhline(0, color=GREY, linewidth=2.5, alpha=0.4)
    for found, look in ((linear, LINEAR), (deep, DEEP)):
        s2 = found["dataset.noise_variance"]
        plot.points(active, s2, found["active"], look, label=look.label)
        plot.points(gap, s2, found["elbo"].to_numpy() - optimum.loc[s2].to_numpy(), look)
    active.plot(learned["noise_variance"], learned["active"], color=DEEP.colour, marker="*", linestyle="none",
                label="deep VAE, noise learned")  # fmt: skip
    for ax in (active, gap):
        ax.set_xscale("log")
        ax.set_xlabel(r"observation noise $\sigma^2$")
    gap.set_yscale("symlog", linthresh=1)
    gap.set_ylim(-1.5, 60)
    active.set_ylabel("active dimensions of 20")
    gap.set_ylabel("ELBO - pPCA's, nats")
    draw_learning(
        noise, frame[(frame["part"] == "learned") & (frame["split"] == "test")], ends(frame, "linear_learned")
    )
    draw_thresholds(epsilon, deep, LATENT)
    plot.panel_title(active, "(a) collapse")
    plot.panel_title(gap, "(b) noise fixed: ELBO")
    plot.panel_title(noise, "(c) noise learned")
    plot.panel_title(epsilon, r"(d) noise fixed: over $\epsilon$")
    plot.legend(figure, [active], 2)
    return figure


def draw_learning(ax: Any, frame: pd.DataFrame, linear: pd.DataFrame) -> None:
    """From each start, and what the linear VAE has learned."""
    for i, (start, run) in enumerate(frame.sort_values("step").groupby("dataset.noise_variance")):
        ax.plot(run["oracle_calls"], run["noise_variance"], color=plot.COLOURS[i], marker=MARKERS[i],
                markerfacecolor="white", linewidth=0.8, label=rf"from ${start:g}$")  # fmt: skip
    ax.axhline(float(linear["noise_variance"].iloc[0]), color=GREY, linewidth=0.8, linestyle=":", label="linear VAE")
    ax.set_yscale("log")
    ax.set_xlabel("oracle calls")
    ax.set_ylabel(r"$\sigma^2$")
    ax.set_ylim(top=500)  # room for the legend
    ax.legend(loc="upper right", ncols=2, fontsize=5, handlelength=1.4)

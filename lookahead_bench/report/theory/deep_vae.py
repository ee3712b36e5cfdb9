"""Linear VAE 2019 on MNIST: the collapse of a deep Gaussian VAE over the observation noise follows pPCA's."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot

LINEAR = plot.LOOKS["extragradient"]._replace(label="linear VAE", line="none")
DEEP = plot.LOOKS["rapp"]._replace(label="deep VAE (test images)", line="none")


def draw(frame: pd.DataFrame) -> Figure:
    figure, (active, elbo) = plot.axes(2, height=2.0)
    linear = plot.final_of(frame[frame["part"] == "linear"], "val").sort_values("dataset.noise_variance")
    deep = plot.final_of(frame[frame["part"] == "deep"], "test").sort_values("dataset.noise_variance")
    noise = linear["dataset.noise_variance"]
    optima = {"active": linear["ppca_active"], "elbo": linear["elbo"] + linear["gap"]}
    for ax, (metric, optimum) in zip((active, elbo), optima.items(), strict=True):
        ax.plot(noise, optimum, color="#777777", linewidth=2.5, alpha=0.4, label="pPCA")
        for ends, look in ((linear, LINEAR), (deep, DEEP)):
            plot.points(ax, ends["dataset.noise_variance"], ends[metric], look, label=look.label)
        ax.set_xscale("log")
        ax.set_xlabel(r"observation noise $\sigma^2$")
    active.set_ylabel("active dimensions of 20")
    elbo.set_ylabel("ELBO, nats")
    plot.panel_title(active, "(a) collapse")
    plot.panel_title(elbo, "(b) ELBO")
    plot.legend(figure, [active], 3)
    return figure

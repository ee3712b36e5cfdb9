"""Linear VAE 2019 on digits: analytic and sampled ELBO against the optimum of pPCA, and the dimensions that survive."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot
from lookahead_bench.report.comparison import Comparison

LOOKS = {"analytic": plot.LOOKS["extragradient"]._replace(label="analytic ELBO"),
         "sampled": plot.LOOKS["rapp"]._replace(label="sampled ELBO")}  # fmt: skip
SHOWN = (0.02, 0.2)  # observation noise of panel (a)


def compare(frame: pd.DataFrame) -> list[Comparison]:
    ends = plot.final_of(frame[frame["part"] == "analytic"], "val").sort_values("dataset.noise_variance")
    return [
        Comparison(f"linear VAE on digits, noise {s2:g}", "Adam, analytic ELBO", "active dimensions", active, optimum)
        for s2, active, optimum in zip(ends["dataset.noise_variance"], ends["active"], ends["ppca_active"], strict=True)
    ]


def draw(frame: pd.DataFrame) -> Figure:
    figure, (gap, active) = plot.axes(2, height=2.0)
    for part, look in LOOKS.items():
        mine = frame[frame["part"] == part]
        rows = mine[(mine["split"] == "train") & mine["dataset.noise_variance"].isin(SHOWN)]
        for s2, run in rows.groupby("dataset.noise_variance"):
            alpha = 1.0 if s2 == SHOWN[0] else 0.45
            gap.plot(run["oracle_calls"], run["gap"], color=look.colour, linestyle=look.line, alpha=alpha)
            gap.annotate(rf"$\sigma^2 = {s2:g}$", (run["oracle_calls"].iloc[-1], run["gap"].iloc[-1]), fontsize=6,
                         color=look.colour, va="center", xytext=(3, 0), textcoords="offset points")  # fmt: skip
        ends = plot.final_of(mine, "val").sort_values("dataset.noise_variance")
        if part == "analytic":
            active.plot(ends["dataset.noise_variance"], ends["ppca_active"], color="#777777", linewidth=2.5, alpha=0.4,
                        label="pPCA")  # fmt: skip
        plot.points(active, ends["dataset.noise_variance"], ends["active"], look, label=look.label)
    gap.set_xlim(0, 1.5 * frame["oracle_calls"].max())  # room for the words
    gap.set_xticks([0, 1000, 2000])
    gap.set_yscale("log")
    plot.log_ticks(gap)
    gap.set_xlabel("oracle calls")
    gap.set_ylabel("pPCA optimum - ELBO, nats")
    plot.panel_title(gap, "(a) gap")
    active.set_xscale("log")
    active.set_xticks([0.02, 0.1, 0.5], ["0.02", "0.1", "0.5"])
    active.minorticks_off()
    active.set_xlabel(r"observation noise $\sigma^2$")
    active.set_ylabel("active dimensions of 10")
    plot.panel_title(active, "(b) collapse")
    plot.legend(figure, [active], 3)
    return figure

"""Robustness: the final accuracy over the inner rate, for several inner momenta; Lookahead beside its base."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lookahead_bench.report import plotting as plot


def draw(frame: pd.DataFrame) -> Figure:
    ends = plot.judged(frame)
    ends = ends[ends["split"] == "test"].groupby("run_id").tail(1)
    momenta = sorted(frame["optimizer.momentum"].unique())
    figure, panels = plot.axes(len(momenta), width=2 * plot.WIDTH, height=2.0, sharey=True)
    for ax, momentum in zip(panels, momenta, strict=True):
        for method in plot.methods(frame):
            mine = ends[(ends["optimizer"] == method) & (ends["optimizer.momentum"] == momentum)]
            done = mine[mine["status"] == "done"]
            plot.curve(ax, done, "accuracy", plot.LOOKS[method], x="optimizer.lr", markers=100)
            lost = mine.loc[mine["status"] == "diverged", "optimizer.lr"].unique()
            ax.plot(lost, [0.02] * len(lost), "x", color=plot.LOOKS[method].colour, transform=ax.get_xaxis_transform())
        ax.set_xscale("log")
        ax.set_xlabel("lr")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        plot.panel_title(ax, f"momentum = {momentum:g}")
    panels[0].set_ylabel("test accuracy")
    plot.legend(figure, panels, 2)
    seeds = frame.groupby(["optimizer", "optimizer.lr", "optimizer.momentum"])["run_id"].nunique().min()
    figure.supxlabel(f"mean of {seeds} seeds; band: the extreme seeds; crosses: diverged", fontsize=6, color="#555555")
    return figure

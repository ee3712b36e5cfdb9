"""What becomes of the inner momentum at a sync: nothing, pulled back like the weights, or reset; at two rates."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lookahead_bench.report import plotting as plot
from lookahead_bench.report.plotting import Look

LOOKS = {
    "none": Look("kept", "#000000", "o", "-"),
    "pullback": Look("pulled back", "#D55E00", "^", "--"),
    "reset": Look("reset", "#0072B2", "s", "-."),
}


def draw(frame: pd.DataFrame) -> Figure:
    rates = sorted(frame["optimizer.lr"].unique())
    figure, panels = plot.axes(len(rates), width=2 * plot.WIDTH, height=2.4)
    scored = plot.judged(frame)
    val = scored[(scored["split"] == "val") & (scored["step"] > 0)]
    for ax, rate in zip(panels, rates, strict=True):
        mine, ends = (rows[rows["optimizer.lr"] == rate] for rows in (val, plot.final(frame, "slow")))
        for treatment, look in LOOKS.items():
            plot.curve(ax, mine[mine["optimizer.pullback"] == treatment], "accuracy", look, band=False)
        found = (f"{look.label} {plot.outcome(ends[ends['optimizer.pullback'] == name], 'accuracy')}"
                 for name, look in LOOKS.items())  # fmt: skip
        ax.text(0.97, 0.05, "test\n" + "\n".join(found), transform=ax.transAxes, ha="right", va="bottom", fontsize=5.5)
        ax.set_ylim(mine.groupby("step")["accuracy"].mean().quantile(0.15) - 0.03, 1.0)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        ax.set_xlabel("oracle calls")
        plot.panel_title(ax, f"lr = {rate:g}")
    panels[0].set_ylabel("validation accuracy, slow weights")
    plot.legend(figure, panels, 3)
    seeds = frame.groupby(["optimizer.lr", "optimizer.pullback"])["run_id"].nunique().min()
    figure.supxlabel(f"mean of {seeds} seeds; test: with its 95 % interval", fontsize=6, color="#555555")
    return figure

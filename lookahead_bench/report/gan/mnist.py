"""GANs on MNIST: samples of one seed over training, and the FID of all seeds."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lookahead_bench.report import plotting as plot

COLUMNS = 5  # evaluations of which samples are shown, at most
SHOWN = 0.5  # of a picture's height and width


def draw(frame: pd.DataFrame) -> Figure:
    methods = plot.methods(frame)
    scored = plot.judged(frame)
    val, test = (scored[scored["split"] == split] for split in ("val", "test"))
    trained = val[(val["seed"] == val["seed"].min()) & (val["step"] > 0)]
    count = trained.groupby("optimizer")["step"].nunique().max()
    shown = np.unique(np.linspace(0, count - 1, COLUMNS).round().astype(int))
    figure = plt.figure(figsize=(2 * plot.WIDTH, 0.25 + 0.6 * len(methods)))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.1 + 0.68 * len(shown), 2.2])[0]
    strips, fid = left.subplots(len(methods), len(shown), squeeze=False), right.subplots()
    for name, cells in zip(methods, strips, strict=True):
        rows, ends = trained[trained["optimizer"] == name], test[test["optimizer"] == name]
        for ax, i in zip(cells, shown, strict=True):
            ax.set_axis_off()
            if i < len(rows):  # otherwise it has diverged before
                plot.picture(ax, rows.iloc[i], SHOWN)
                ax.set_title(f"{rows['oracle_calls'].iloc[i]:,.0f}" if name == methods[0] else "", fontsize=6, pad=2)
        words = f"{plot.LOOKS[name].label}\nFID {plot.outcome(ends.groupby('run_id').tail(1), 'fid')}"
        cells[0].text(-0.1, 0.5, words, transform=cells[0].transAxes, ha="right", va="center", fontsize=6)
        plot.curve(fid, val[val["optimizer"] == name], "fid", plot.LOOKS[name])
    fid.axhline(test["fid_floor"].iloc[-1], color="#777777", linestyle="--", linewidth=0.8, label="real images")
    fid.set_yscale("log")
    fid.set_xlabel("oracle calls")
    fid.set_ylabel("FID")
    right.legend(loc="outside upper center", ncols=2)
    return figure

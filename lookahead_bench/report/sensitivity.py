"""How exact a setting must be: the score over a number that was swept, one line a method, the seeds as a band."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from lookahead_bench.report import plotting
from lookahead_bench.report.curves import looks
from lookahead_bench.report.plotting import Look
from lookahead_bench.report.settings import Problem, Setting, is_number

ENOUGH = 3  # values of a number are a sweep over it
MOST = 6  # problems in one figure
WIDE = 4.0  # from the least to the most: more is drawn on a logarithmic axis
TICKS = 7  # values that are all named on the axis
SHOWN = 0.3  # of an accuracy below the best one: what is worse is at the edge


def draw_sensitivity(of: Sequence[Problem], stem: Path, title: str) -> list[Path]:
    """<stem>-KEY.png and .pdf for every number that was swept on one of these problems; gives the PNGs' paths."""
    return [draw(key, of, stem.with_name(f"{stem.name}-{key}"), title) for key in swept(of)]


def swept(of: Sequence[Problem]) -> list[str]:
    """The settings of which a method has had three numbers or more on one problem."""
    found: dict[str, None] = {}
    for one in of:
        for method in dict.fromkeys(setting.method for setting in one.settings):
            mine = [setting.values for setting in one.settings if setting.method == method]
            for key in dict.fromkeys(key for values in mine for key in values):
                if len({values[key] for values in mine if is_number(values.get(key))}) >= ENOUGH:
                    found[key] = None
    return list(found)


def draw(key: str, of: Sequence[Problem], stem: Path, title: str) -> Path:
    of = [one for one in of if key in swept([one])][:MOST]
    methods = list(dict.fromkeys(s.method for one in of for s in one.settings if is_number(s.values.get(key))))
    styles = dict(zip(methods, looks(methods), strict=True))
    columns = min(2, len(of))
    rows = -(-len(of) // columns)
    with plt.rc_context(plotting.STYLE):
        figure, panels = plotting.axes(columns, rows, width=plotting.WIDTH * columns, height=0.4 + 2.0 * rows)
        for ax, one in zip(panels, of, strict=False):
            drawn = [line(ax, key, one, method, styles[method]) for method in methods]
            axes(ax, key, one, [score for scores in drawn for score in scores])
            plotting.panel_title(ax, one.text or title)
        for ax in panels[len(of) :]:
            ax.set_axis_off()
        plotting.legend(figure, panels, max(1, min(len(methods), 3 * columns)))
        several = any(len(s.runs) > 1 for one in of for s in one.settings)
        lost = any(s.count("diverged") for one in of for s in one.settings)
        words = ("mean over seeds; band: the extreme seeds" if several else "one seed") + "; full: chosen"
        figure.supxlabel(words + ("; crosses: diverged" if lost else ""), fontsize=6, color="#555555")
        return plotting.save(figure, stem)


def points(key: str, one: Problem, method: str) -> Iterator[tuple[float, Setting]]:
    """Of every value the setting that validation would choose of the others; on the seeds that all of them have."""
    mine = [s for s in one.settings if s.method == method and is_number(s.values.get(key))]
    values = sorted({float(s.values[key]) for s in mine})
    best = [one.best([s for s in mine if float(s.values[key]) == value]) for value in values]
    yield from zip(values, one.on_common_seeds(best), strict=True)


def line(ax: Axes, key: str, one: Problem, method: str, look: Look) -> list[float]:
    """Draw it; gives the scores of all its seeds."""
    found = list(points(key, one, method))
    ended = [(value, setting.done["choosing"]) for value, setting in found if not setting.done.empty]
    x = [value for value, _ in ended]
    ax.plot(x, [scores.mean() for _, scores in ended], color=look.colour, linestyle=look.line, marker=look.marker,
            markerfacecolor="white", markeredgewidth=0.8, label=look.label, zorder=3)  # fmt: skip
    if any(len(scores) > 1 for _, scores in ended):
        low, high = ([getattr(scores, of)() for _, scores in ended] for of in ("min", "max"))
        ax.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    chosen = next(s.values.get(key) for s in one.chosen if s.method == method)
    for value, scores in ended:
        if value == chosen:
            ax.plot(value, scores.mean(), marker=look.marker, color=look.colour, zorder=4)
    if lost := [value for value, setting in found if setting.count("diverged")]:
        height = [0.02 if one.higher else 0.98] * len(lost)
        ax.plot(lost, height, "x", color=look.colour, transform=ax.get_xaxis_transform())
    return [score for _, scores in ended for score in scores]


def axes(ax: Axes, key: str, one: Problem, drawn: Sequence[float]) -> None:
    values = sorted({float(s.values[key]) for s in one.settings if is_number(s.values.get(key))})
    scores = np.array(drawn or [0.0])
    if values[0] > 0 and values[-1] >= WIDE * values[0]:
        ax.set_xscale("log")
    if len(values) <= TICKS:
        ax.set_xticks(values, [f"{value:g}" for value in values])
        ax.xaxis.set_minor_locator(NullLocator())
    if one.metric == "accuracy":
        top = float(scores.max())
        ax.set_ylim(max(float(scores.min()) - 0.01, top - SHOWN), min(1.0, top + 0.01))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    elif 0 < WIDE * scores.min() < scores.max() < math.inf:
        ax.set_yscale("log")
    ax.set_xlabel(key)
    ax.set_ylabel(f"{one.choosing} {one.metric}")

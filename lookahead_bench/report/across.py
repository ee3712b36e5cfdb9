"""Methods over several problems: mean ranks, and performance profiles of what the target costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from lookahead_bench.report import plotting
from lookahead_bench.report.curves import looks
from lookahead_bench.report.ranking import ranks_over_tasks
from lookahead_bench.report.settings import Problem
from lookahead_bench.report.tables import Table
from lookahead_bench.report.targets import ToTarget, profile

ENOUGH = 3  # problems
RATIOS = (1, 2, 4)  # of the table


def compare(of: Sequence[tuple[Problem, Mapping[str, ToTarget]]]) -> tuple[Table, pd.DataFrame] | None:
    """The methods that every problem has, with at least one other: a line each, and the performance profile.

    Problems where there is no curve, or one method alone, do not count; None for fewer than three of the others.
    """
    counted = [(one, costs) for one, costs in of if len(costs) > 1]
    shared = set.intersection(*(set(costs) for _, costs in counted)) if counted else set()
    if len(counted) < ENOUGH or len(shared) < 2:
        return None
    methods = [s.method for s in counted[0][0].chosen if s.method in shared]
    scores = pd.DataFrame([{s.method: score(one, s.method) for s in one.chosen} for one, _ in counted])[methods]
    costs = pd.DataFrame([{m: found[m].costs["oracle calls"] for m in methods} for _, found in counted])
    ranks, shares = ranks_over_tasks(scores), profile(costs)
    lines = [
        {"optimizer": method, "mean rank": ranks[method].text()}
        | {f"within {ratio} x" if ratio > 1 else "cheapest": f"{within(shares, method, ratio):.0%}" for ratio in RATIOS}
        | {"target not reached": str(int(costs[method].map(math.isinf).sum()))}
        for method in sorted(methods, key=lambda m: ranks[m].value)
    ]
    table = Table(
        name="problems",
        title=f"{len(counted)} problems",
        lines=pd.DataFrame(lines),
        notes=["Mean rank of the final scores, with its 95 % bootstrap interval over problems. The shares of problems "
               "where a method's median oracle calls to the target are at most so many times the cheapest method's; "
               "the target is what the median method ends at. Methods that a problem lacks are left out."],
    )  # fmt: skip
    return table, shares


def score(one: Problem, method: str) -> float:
    setting = next(s for s in one.chosen if s.method == method)
    return one.sign * float(setting.done["score"].mean()) if not setting.done.empty else -math.inf


def within(shares: pd.DataFrame, method: str, ratio: float) -> float:
    return float(shares.loc[shares.index <= ratio, method].iloc[-1])


def draw_profile(shares: pd.DataFrame, stem: Path) -> Path:
    """Steps: the share of problems over the ratio to the cheapest method."""
    with plt.rc_context(plotting.STYLE):
        figure, (ax,) = plotting.axes(height=2.4)
        last = max(2.0, float(shares.index[-1])) * 1.1
        for method, look in zip(shares.columns, looks(list(shares.columns)), strict=True):
            x, y = [*shares.index, last], [*shares[method], shares[method].iloc[-1]]
            ax.step(x, y, where="post", color=look.colour, linestyle=look.line, marker=look.marker, label=look.label,
                    markerfacecolor="white", markevery=max(1, len(x) // 5))  # fmt: skip
        ax.set_xscale("log")
        for axis in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
            axis(StrMethodFormatter("{x:g}"))
        ax.set_xlabel("oracle calls to the target, times the cheapest method's")
        ax.set_ylabel("share of problems")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        ax.set_ylim(-0.02, 1.02)
        plotting.legend(figure, [ax], 3)
        return plotting.save(figure, stem)

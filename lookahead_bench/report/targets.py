"""What it costs to reach a score, and who reaches it cheaply on how many tasks (performance profiles).

The target of a problem is what the median method ends at, on the split for choosing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from lookahead_bench.report.settings import Problem, Setting

CURRENCIES = {"oracle calls": "oracle_calls", "samples": "samples", "seconds": "seconds"}  # -> a row's column


class Reached(NamedTuple):
    """cost: where the score was first as good as the target, inf: never. kept: whether it was so at the end too."""

    cost: float
    kept: bool


def reached(costs: Sequence[float], scores: Sequence[float], target: float) -> Reached:
    """Of one run's evaluations, in their order; more is better, nan is no score. Nothing is interpolated."""
    good = [score >= target for score in scores]  # nan is not
    if True not in good:
        return Reached(math.inf, False)
    return Reached(float(costs[good.index(True)]), good[-1])


def typical(costs: Sequence[float]) -> float:
    """The median over seeds; inf where half of them or more have never reached the target."""
    return float(np.median(costs)) if costs else math.inf


def profile(costs: pd.DataFrame) -> pd.DataFrame:
    """Dolan and More 2002: for each method (column) on which share of all tasks (lines) its cost is at most `ratio`
    times the cheapest method's. costs: inf where a task is not solved. Index of the result: every ratio that occurs.
    """
    values = costs.to_numpy(float)
    cheapest = values.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # a target that the initial weights meet costs nothing
        ratios = np.where(np.isinf(values), np.inf, np.where(values == cheapest, 1.0, values / cheapest))
    at = np.unique(np.concatenate([[1.0], ratios[np.isfinite(ratios)]]))
    shares = (ratios[None] <= at[:, None, None]).mean(axis=1)
    return pd.DataFrame(shares, index=pd.Index(at, name="ratio"), columns=costs.columns)


@dataclass(frozen=True)
class ToTarget:
    """One method's seeds on their way to a target.

    costs: by currency the median over seeds; reached, kept: how many came there, and were still there at the end, of n
    """

    target: float
    costs: dict[str, float]
    reached: int
    kept: int
    n: int


def to_target(one: Problem, rows: pd.DataFrame) -> dict[str, ToTarget]:
    """For every method at its chosen settings; empty where scores were made at the ends only.

    rows: the rows of these runs, among others. A diverged run has never reached anything.
    """
    ends = [float(s.done["choosing"].mean()) for s in one.chosen if not s.done.empty]
    if "split" not in rows or one.metric not in rows or not ends:
        return {}
    target = float(np.median(ends))
    scored = rows[(rows["split"] == one.choosing) & (rows["weights"] == rows["judged"])].sort_values("step")
    if scored.loc[scored["run_id"].isin(one.run_ids), "step"].nunique() < 3:
        return {}
    curves = {str(run_id): curve for run_id, curve in scored.groupby("run_id")}
    return {s.method: of_setting(one, s, curves, target) for s in one.chosen if len(s.done) + s.count("diverged")}


def of_setting(one: Problem, setting: Setting, curves: dict[str, pd.DataFrame], target: float) -> ToTarget:
    ended = setting.runs[setting.runs["status"].isin(("done", "diverged"))]
    found: dict[str, list[Reached]] = {name: [] for name in CURRENCIES}
    for run_id, status in zip(ended["run_id"], ended["status"], strict=True):
        curve = curves.get(run_id) if status == "done" else None
        for name, column in CURRENCIES.items():
            if curve is None:
                found[name].append(Reached(math.inf, False))
            else:
                scores = one.sign * curve[one.metric]
                found[name].append(reached(curve[column].tolist(), scores.tolist(), one.sign * target))
    first = found["oracle calls"]
    costs = {name: typical([r.cost for r in of]) for name, of in found.items()}
    return ToTarget(target, costs, sum(r.cost < math.inf for r in first), sum(r.kept for r in first), len(first))

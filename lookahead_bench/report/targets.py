"""What it costs to reach a score, and who reaches it cheaply on how many tasks (performance profiles)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd


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

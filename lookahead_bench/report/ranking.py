"""Ranks, and how far chance moves them: the bootstrap over seeds, and over tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from lookahead_bench.report.stats import ENOUGH, LEVEL

DRAWS = 2000
SEED = 0  # the same table from the same runs


class Rank(NamedTuple):
    """1 is the best; low to high: where 95 % of the draws have it, None for fewer than three lines to draw from."""

    value: float
    low: float | None
    high: float | None

    def text(self) -> str:
        return f"{self.value:.3g}" if self.low is None else f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def ranks_over_seeds(scores: pd.DataFrame) -> dict[str, Rank]:
    """Rank the columns, methods, by the mean of their lines, seeds; more is better, and -inf has diverged.

    Every draw takes whole lines with replacement, so that what a seed does to all methods stays together.
    """
    return _bootstrap(scores, lambda drawn: stats.rankdata(-drawn.mean(axis=-2), axis=-1))


def ranks_over_tasks(scores: pd.DataFrame) -> dict[str, Rank]:
    """The mean of the ranks of the columns, methods, within every line, a task."""
    ranked = pd.DataFrame(stats.rankdata(-scores.to_numpy(float), axis=1), columns=scores.columns)
    return _bootstrap(ranked, lambda drawn: drawn.mean(axis=-2))


def _bootstrap(lines: pd.DataFrame, statistic: Callable[[Any], Any]) -> dict[str, Rank]:
    values = lines.to_numpy(float)
    point = statistic(values)
    if len(values) < ENOUGH:
        return {name: Rank(float(v), None, None) for name, v in zip(lines.columns, point, strict=True)}
    picks = np.random.default_rng(SEED).integers(len(values), size=(DRAWS, len(values)))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(statistic(values[picks]), [tail, 100 - tail], axis=0)
    return {
        name: Rank(float(v), float(a), float(b)) for name, v, a, b in zip(lines.columns, point, low, high, strict=True)
    }

"""What the trials of a search say of a method beyond its best: how many were needed, and how exact a rate must be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BAND = (0.1, 0.9)  # quantiles of the best of n trials
GOOD = 0.02  # relative: how far from a method's best score a trial counts as good


class Best(NamedTuple):
    """The best of n trials: its mean, its standard deviation, and the quantiles BAND of it."""

    mean: float
    deviation: float
    low: float
    high: float


def expected_best(scores: Sequence[float], n: int) -> Best:
    """The best of n trials drawn with replacement from those that were done, more being better.

    With scores v_1 <= ... <= v_N: P(best <= v_i) = (i/N)^n, hence E[best] = sum_i v_i ((i/N)^n - ((i-1)/N)^n).
    Dodge, Gururangan, Card, Schwartz, Smith 2019 (arXiv 1909.03004), equations 5 to 7. With n near N it leans upon the
    one best trial.
    """
    values = np.sort(np.asarray(scores, dtype=float))
    at_most = (np.arange(len(values) + 1) / len(values)) ** n
    chance = np.diff(at_most)
    mean = float(values @ chance)
    low, high = (float(values[np.searchsorted(at_most[1:], q)]) for q in BAND)
    return Best(mean, math.sqrt(max(0.0, float((values - mean) ** 2 @ chance))), low, high)


def best_so_far(scores: Sequence[float]) -> list[float]:
    """After every trial, in their order."""
    return list(itertools.accumulate(scores, max))


class GoodRange(NamedTuple):
    """The rates of the good trials, from the lowest to the highest, and how many of all trials are good."""

    low: float
    high: float
    share: float

    @property
    def decades(self) -> float:
        return math.log10(self.high / self.low)


def good_range(rates: Sequence[float], scores: Sequence[float]) -> GoodRange:
    """Of the trials whose score is within GOOD (relative) of the method's best one, whatever their other settings."""
    best = max(scores)
    good = [rate for rate, score in zip(rates, scores, strict=True) if best - score <= GOOD * abs(best)]
    return GoodRange(min(good), max(good), len(good) / len(scores))

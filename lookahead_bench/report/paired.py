"""Two methods on the same seeds, hence on the same data in the same order: who is ahead, by how much, how surely.

Scores are such that more is better; a run that has diverged has -inf, and is worse than every other one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from lookahead_bench.report.stats import ENOUGH, LEVEL, Mean, mean

POWER = 0.8  # the chance that so many seeds show a difference that is there
MOST = 10**6  # seeds


@dataclass(frozen=True)
class Paired:
    """One method's scores less the other's, seed by seed.

    n: seeds that both have; lost, other_lost: of how many of them the method, and the other, has diverged
    difference: of the seeds in which both have ended
    p: two-sided, that there is no difference; None for fewer than three seeds. test: "t" or "sign"
    """

    n: int
    lost: int
    other_lost: int
    difference: Mean
    p: float | None
    test: str

    @property
    def effect(self) -> float | None:
        """Cohen's d of the differences: their mean in their own standard deviations; None where they have none."""
        deviation = self.difference.deviation
        return self.difference.value / deviation if deviation else None

    @property
    def sign(self) -> int:
        """1 if the method is ahead: in more seeds where some have diverged, else in the mean."""
        ahead = (self.other_lost - self.lost) or self.difference.value
        return 0 if math.isnan(ahead) else (ahead > 0) - (ahead < 0)


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> Paired:
    """Compare by seed: the paired t test. Where a run has diverged, or where every difference is the same, there is no
    standard deviation to measure by, and the sign test tells how many seeds are enough."""
    seeds = sorted(one.keys() & other.keys())
    lost = [one[seed] == -math.inf for seed in seeds]
    other_lost = [other[seed] == -math.inf for seed in seeds]
    ended = [one[s] - other[s] for s, a, b in zip(seeds, lost, other_lost, strict=True) if not a and not b]
    difference = mean(ended)
    n = len(seeds)
    p, test = None, ""
    if n >= ENOUGH:
        if any(lost) or any(other_lost) or not difference.deviation:
            p, test = signs([(one[s] > other[s]) - (one[s] < other[s]) for s in seeds]), "sign"
        else:
            p, test = float(stats.ttest_1samp(ended, 0.0).pvalue), "t"
    return Paired(n, sum(lost), sum(other_lost), difference, p, test)


def signs(which: Sequence[int]) -> float:
    """The sign test: as many heads among the tosses that are no tie. All ties: 1."""
    tosses = sum(map(abs, which))
    return float(stats.binomtest(sum(one > 0 for one in which), tosses).pvalue) if tosses else 1.0


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's correction for as many comparisons as have a p: the chance of one false difference among them all."""
    from statsmodels.stats.multitest import multipletests

    tested = [i for i, p in enumerate(ps) if p is not None]
    corrected: list[float | None] = [None] * len(ps)
    if tested:
        found = multipletests([ps[i] for i in tested], method="holm")[1]
        for i, p in zip(tested, found, strict=True):
            corrected[i] = float(p)
    return corrected


def seeds_to_decide(effect: float | None) -> int | None:
    """How many seeds show a difference of so many of its standard deviations with a chance of 80 %; None: no number.

    Two-sided paired t test at 5 %. That the effect is as large as it was measured is an assumption.
    """
    from statsmodels.stats.power import TTestPower

    if not effect or not math.isfinite(effect):
        return None

    def shows(n: int) -> bool:
        return bool(TTestPower().power(abs(effect), n, 1 - LEVEL) >= POWER)

    high = ENOUGH
    while not shows(high):
        high *= 2
        if high > MOST:
            return None
    low = max(ENOUGH - 1, high // 2)  # too few
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high

"""Means over seeds, and what says how far to trust them: an interval, of two seeds a range, of one seed nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import stats

LEVEL = 0.95
ENOUGH = 3  # values, for an interval or a test: t(0.975, 1) = 12.7 says nothing


@dataclass(frozen=True)
class Mean:
    """The mean of n values.

    deviation: the sample's standard deviation, of two values or more; half_width: of the 95 % confidence interval, of
    three values or more; low, high: the extreme values.
    """

    value: float
    deviation: float | None
    half_width: float | None
    low: float
    high: float
    n: int

    def times(self, sign: int) -> Mean:
        """Of the same values with this sign, 1 or -1."""
        low, high = sorted((sign * self.low, sign * self.high))
        return replace(self, value=sign * self.value, low=low, high=high)

    def text(self, metric: str) -> str:
        """`98.12 ± 0.31 %` for an accuracy, and `0.5 (1 seed)`: what stands in no table's column."""
        unit = " %" if metric == "accuracy" and self.n else ""
        return f"{self.cell(metric)}{unit}" + (" (1 seed)" if self.n == 1 else "")

    def cell(self, metric: str) -> str:
        """`98.12 ± 0.31` for an accuracy, in per cent; otherwise two digits of the interval, and the mean as exact.

        Of two values the range, of one itself.
        """
        if not self.n:
            return "-"
        if self.half_width is None:
            low, high = number(self.low, metric), number(self.high, metric)
            return low if low == high else f"{low} to {high}"
        if metric == "accuracy":
            return f"{number(self.value, metric)} ± {number(self.half_width, metric)}"
        return f"{exact_to(self.value, self.half_width)} ± {plain(self.half_width, 2)}"


def number(value: float, metric: str) -> str:
    """In per cent, without the sign, where it is an accuracy."""
    return f"{100 * value:.2f}" if metric == "accuracy" else plain(value, 4)


def exact_to(value: float, error: float) -> str:
    """As many places as two digits of the error have."""
    if 1e-4 <= abs(value) < 1e6 and 0 < error < math.inf:
        return f"{value:.{min(12, max(0, 1 - math.floor(math.log10(error))))}f}"
    return plain(value, 4)


def plain(value: float, digits: int) -> str:
    """So many digits, but below a million no power of ten for those before the point."""
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e6 else f"{value:.{digits}g}"


def mean(values: Sequence[float]) -> Mean:
    """Student's t interval: mean +- t(0.975, n-1) s / sqrt(n). Values must be finite; none of them is left out."""
    n = len(values)
    if n == 0:
        return Mean(math.nan, None, None, math.nan, math.nan, 0)
    centre = math.fsum(values) / n
    low, high = min(values), max(values)
    if n == 1:
        return Mean(centre, None, None, low, high, 1)
    deviation = math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (n - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / math.sqrt(n) if n >= ENOUGH else None
    return Mean(centre, deviation, half, low, high, n)

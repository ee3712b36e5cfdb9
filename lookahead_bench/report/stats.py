"""Means over seeds with an interval that says how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Mean:
    """A mean of n values and the half width of its 95 % confidence interval (None for fewer than two values)."""

    value: float
    half_width: float | None
    n: int

    def text(self, metric: str) -> str:
        """`98.12 ± 0.31 %` for an accuracy; otherwise two digits of the interval, and the mean as exact as that."""
        if not self.n:
            return "-"
        if metric == "accuracy":
            band = "" if self.half_width is None else f" ± {self.half_width * 100:.2f}"
            return f"{self.value * 100:.2f}{band} %"
        if self.half_width is None:
            return plain(self.value, 4)
        digits = 4
        if self.value and 0 < self.half_width < math.inf and math.isfinite(self.value):
            digits = max(4, math.floor(math.log10(abs(self.value))) - math.floor(math.log10(self.half_width)) + 2)
        return f"{plain(self.value, min(digits, 15))} ± {plain(self.half_width, 2)}"


def plain(value: float, digits: int) -> str:
    """So many digits, but below a million no power of ten for those before the point."""
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e6 else f"{value:.{digits}g}"


def mean(values: Sequence[float]) -> Mean:
    """Student's t interval: mean +- t(0.975, n-1) s / sqrt(n). Values must be finite; none of them is left out."""
    n = len(values)
    if n == 0:
        return Mean(math.nan, None, 0)
    centre = math.fsum(values) / n
    if n == 1:
        return Mean(centre, None, 1)
    deviation = math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (n - 1))
    return Mean(centre, float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n), n)

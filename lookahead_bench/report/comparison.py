"""A measured quantity beside its closed form, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

EXACT = 1e-6  # relative, in float64
ERRORS = 4.0  # standard errors: some sixty of these stand in one table


class Comparison(NamedTuple):
    """error: the measured mean's standard error over seeds; None where nothing is random."""

    problem: str
    method: str
    quantity: str
    measured: float
    closed_form: float
    error: float | None = None

    @property
    def agrees(self) -> bool:
        """Within 1e-6 relative, or within four standard errors where there is noise."""
        allowed = EXACT * abs(self.closed_form) if self.error is None else ERRORS * self.error
        return bool(abs(self.measured - self.closed_form) <= allowed)


def as_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One line a comparison; differences of noisy quantities also in standard errors."""
    lines = []
    for one in comparisons:
        difference = one.measured - one.closed_form
        in_errors = "" if one.error is None else f" ({difference / one.error:+.1f} SE)"
        lines.append(
            {"problem": one.problem, "method": one.method, "quantity": one.quantity,
             "measured": f"{one.measured:.7g}", "closed form": f"{one.closed_form:.7g}",
             "difference": f"{difference:.1e}{in_errors}", "agrees": "yes" if one.agrees else "no"}
        )  # fmt: skip
    return pd.DataFrame(lines)

"""The mean of the iterates from where the score stops gaining."""

from __future__ import annotations

from typing import Any, ClassVar

from torch.optim import Optimizer

from lookahead_bench.optim.averaged import Averaged
from lookahead_bench.optim.wrapper import Closure


class TriggeredAverage(Averaged):
    """Polyak's mean, begun when the score has stopped gaining; evaluated in place of the iterates from then on.

        c_n > min(c_1, ..., c_{n - patience - 1})      the trigger, at the n-th score, less is better
        a_t = mean of the iterates after it

    Over SGD this is non-monotonically triggered averaged SGD (NT-ASGD). Scores come through `observe`; without any the
    mean never begins. Costs one copy of the parameters from the trigger on.

    Args:
        base: any torch optimizer.
        patience: the newest scores before this one that are no measure for it; an integer >= 1.

    Raises:
        ValueError: patience outside of its range.

    Source: Merity, Keskar, Socher 2018 (arXiv 1708.02182), Algorithm 1, n = 5.
    """

    elementwise = False  # every run has a score of its own
    ranges: ClassVar = {"patience": "an integer >= 1"}
    counters = ("count", "triggered")
    numbers = ("costs",)

    decay, start = None, 0
    patience: int
    triggered: int  # 1 from the trigger on
    costs: list[float]  # until then

    def __init__(self, base: Optimizer, patience: int = 5) -> None:
        super(Averaged, self).__init__(base, patience=patience)

    def observe(self, cost: float) -> None:
        if not self.triggered:
            earlier = self.costs[: -self.patience]
            self.triggered = int(bool(earlier) and cost > min(earlier))
            self.costs = [] if self.triggered else [*self.costs, cost]

    def _update(self, closure: Closure | None) -> Any:
        return super()._update(closure) if self.triggered else self.base.step(closure)

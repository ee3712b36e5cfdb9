"""Polyak and exponential averages of the iterates."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper


class Averaged(Wrapper):
    """Keep an average of the iterates w_1, w_2, ... to evaluate; the training itself does not change.

        decay=None:  a_t = mean of w_{s+1}, ..., w_t                                  Polyak mean
        decay=beta:  a_s = w_s,  a_t = beta a_{t-1} + (1 - beta) w_t                  EMA from w_s

    with s = start; up to w_s the iterates themselves are evaluated. One iterate is one step of this wrapper's base.
    Costs one copy of the parameters from then on.

    Args:
        base: any torch optimizer.
        decay: None, or 0 <= decay < 1.
        start: iterates before the average begins, an integer >= 0; 0 is from the initial weights w_0 on.

    Raises:
        ValueError: decay or start outside of its range.

    Source: Polyak, Juditsky 1992; EMA as in Gidel et al. 2019 (arXiv 1802.10551).
    """

    level = 0
    elementwise = True
    ranges: ClassVar = {"decay": "null or a finite number >= 0 and < 1", "start": "an integer >= 0"}
    counters: ClassVar[tuple[str, ...]] = ("count",)
    tensors: ClassVar = {"average": foreach.clone}

    decay: float | None
    start: int
    count: int  # iterates so far
    average: list[Tensor] | None

    def __init__(self, base: Optimizer, decay: float | None = None, start: int = 0) -> None:
        super().__init__(base, decay=decay, start=start)

    @property
    def evaluation(self) -> str:
        return "average" if self.decay is None else "ema"

    def evaluation_point(self) -> list[Tensor] | None:
        return self.average if self.count > self.start else None

    def _update(self, closure: Closure | None) -> Any:
        if self.count == self.start:
            self.average = foreach.clones(self.parameters())
        loss = self.base.step(closure)
        self.count += 1
        if self.average is not None:
            weight = 1 / (self.count - self.start) if self.decay is None else 1 - self.decay
            foreach.lerp_(self.average, self.parameters(), weight)
        return loss

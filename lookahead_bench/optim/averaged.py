"""Polyak and exponential averages of the iterates."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper


class Averaged(Wrapper):
    """Keep an average of the iterates w_1, w_2, ... to evaluate; the training itself does not change.

        decay=None:  a_1 = w_1,  a_t = a_{t-1} + (w_t - a_{t-1}) / t                  Polyak mean
        decay=beta:  a_0 = w_0,  a_t = beta a_{t-1} + (1 - beta) w_t                  EMA from the initial weights

    One iterate is one step of this wrapper's base. Costs one copy of the parameters.

    Args:
        base: any torch optimizer.
        decay: None, or 0 <= decay < 1.

    Raises:
        ValueError: decay outside of its range.

    Source: Polyak, Juditsky 1992; EMA as in Gidel et al. 2019 (arXiv 1802.10551).
    """

    level = 0
    elementwise = True
    ranges: ClassVar = {"decay": "null or a finite number >= 0 and < 1"}
    counters: ClassVar[tuple[str, ...]] = ("count",)
    tensors: ClassVar = {"average": foreach.clone}

    decay: float | None
    count: int  # iterates so far
    average: list[Tensor] | None

    def __init__(self, base: Optimizer, decay: float | None = None) -> None:
        super().__init__(base, decay=decay)

    @property
    def evaluation(self) -> str:
        return "average" if self.decay is None else "ema"

    def evaluation_point(self) -> list[Tensor] | None:
        return self.average if self.count else None

    def _update(self, closure: Closure | None) -> Any:
        if self.count == 0:
            self.average = foreach.clones(self.parameters())
        loss = self.base.step(closure)
        self.count += 1
        assert self.average is not None
        weight = 1 / self.count if self.decay is None else 1 - self.decay
        foreach.lerp_(self.average, self.parameters(), weight)
        return loss

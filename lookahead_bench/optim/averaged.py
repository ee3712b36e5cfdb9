"""Polyak and exponential averages of the iterates."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper, is_number, require


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

    settings = ("decay",)
    counters = ("count",)
    tensors = {"average": foreach.clone}  # noqa: RUF012
    evaluation = "average"

    count: int  # iterates so far
    average: list[Tensor] | None

    def __init__(self, base: Optimizer, decay: float | None = None) -> None:
        require(
            decay is None or (is_number(decay) and 0 <= decay < 1),
            "decay",
            decay,
            "None (mean) or a number with 0 <= decay < 1",
        )
        super().__init__(base)
        self.decay = decay

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

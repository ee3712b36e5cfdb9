"""Sharpness-aware minimization: step with the gradient from where the loss is worst nearby."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.anchored import Anchored
from lookahead_bench.optim.wrapper import Closure


class SAM(Anchored):
    """The base's step from w with the gradient at w + rho g / |g|, where g is the gradient at w.

        g = F(w),  w <- the base's step from w with F(w + rho g / |g|)

    |g| is the Euclidean norm over all parameters that have a gradient, so replicas in one tensor would mix. Where g is
    0 the second point is w itself. Over Alternating every block takes its own two evaluations, the norm over the block.
    A weight decay of the base acts at w and is not part of g.

    Args:
        base: any torch optimizer that calls its closure once a step.
        rho: how far to look; a finite number >= 0, 0 is the base itself.

    Raises:
        ValueError: rho outside of its range, or LBFGS inside.
        RuntimeError: from `step`, without closure. Whenever a closure raises, the parameters are back at w.

    Source: Foret, Kleiner, Mobahi, Neyshabur 2021 (arXiv 2010.01412), equations 2 and 3.
    """

    ranges: ClassVar = {"rho": "a finite number >= 0"}

    rho: float

    def __init__(self, base: Optimizer, rho: float = 0.05) -> None:
        super().__init__(base, rho=rho)

    @property
    def evaluations(self) -> int:
        return 2

    def _update_from(self, anchor: list[Tensor], closure: Closure | None) -> Any:
        if closure is None:
            raise RuntimeError("SAM needs a second gradient: call step(closure)")

        def evaluate(**request: Any) -> Any:
            loss = closure(**request)
            moved = [p for p in self.parameters() if p.grad is not None]
            here = foreach.clones(moved)  # not the anchor: over Alternating a player may have moved in this round
            self._look_ahead(moved)
            closure(**request)
            with torch.no_grad():
                foreach.copy_(moved, here)
            return loss

        return self._step_base(evaluate)

    @torch.no_grad()  # it runs inside the closure, where gradients are enabled
    def _look_ahead(self, parameters: list[Tensor]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        factor = torch.where(norm > 0, self.rho / norm, 0.0)  # a tensor: the host need not wait for it
        foreach.add_(parameters, foreach.scaled(gradients, factor))

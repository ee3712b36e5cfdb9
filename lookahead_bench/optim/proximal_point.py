"""Proximal-point methods: extragradient, EG+ and RAPP for any base optimizer."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.anchored import Anchored
from lookahead_bench.optim.wrapper import Closure


class ProximalPoint(Anchored):
    """Approximate the proximal point of F by `inner` base steps, each from the same anchor, and move towards it.

        w_0 = z,  w_{t+1} = the base's step from z with the gradient at w_t,  t = 0 .. inner - 1
        z <- z + relaxation (w_inner - z)

    inner=1 is the base itself, inner=2 extragradient (over Adam: ExtraAdam), with relaxation < 1 EG+, inner >= 3 RAPP.
    Nothing is kept between steps. One step for a scheduler; the base's hooks and Adam's counter advance `inner` times.
    A weight decay of the base acts once a step, at z: every w_t restarts there. Put the decay into the closure's loss
    for the exact proximal point of the decayed F.

    Args:
        base: any torch optimizer that calls its closure once a step.
        inner: gradient evaluations a step; an integer >= 1.
        relaxation: 0 < relaxation <= 1.

    Raises:
        ValueError: a hyperparameter outside of its range, or LBFGS inside.
        RuntimeError: from `step`, while inner > 1 and there is no closure. Whenever a closure raises, the parameters
            are back at z.

    Source: Pethick, Xie, Cevher 2023 (arXiv 2310.13459); inner=2 over Adam: Gidel et al. 2019
    (1802.10551).
    """

    elementwise = True
    ranges: ClassVar = {"inner": "an integer >= 1", "relaxation": "a finite number > 0 and <= 1"}
    projects_outside = True

    inner: int
    relaxation: float

    def __init__(self, base: Optimizer, inner: int = 2, relaxation: float = 1.0) -> None:
        super().__init__(base, inner=inner, relaxation=relaxation)

    @property
    def evaluations(self) -> int:
        return self.inner

    def _update_from(self, anchor: list[Tensor], closure: Closure | None) -> Any:
        if self.inner == 1:
            losses = [self.base.step(closure)]
        elif closure is None:
            raise RuntimeError(f"ProximalPoint(inner={self.inner}) needs {self.inner} gradients: call step(closure)")
        else:
            losses = [self._step_from(anchor, closure) for _ in range(self.inner)]
        if self.relaxation < 1:
            foreach.lerp_(self.parameters(), anchor, 1 - self.relaxation)
        return losses[0]

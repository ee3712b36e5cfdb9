"""Past extragradient and optimistic gradient: extrapolate with what the last step knew, one oracle call a step."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.anchored import Anchored
from lookahead_bench.optim.wrapper import Closure, absent


class PastExtragradient(Anchored):
    """Extragradient whose first gradient is remembered from the last step.

    memory="gradient" (past extragradient, past ExtraAdam; the base steps twice a step):

        Y = the base's step from X with the gradient at the last Y
        X <- the base's step from X with the gradient at Y

    memory="step" (optimistic gradient, Optimistic Adam; the base steps once a step):

        Y = X + the last change of X
        X <- the base's step from X with the gradient at Y

    The first step remembers nothing: Y = X. Without momentum, decay and constraint, and with a constant learning rate,
    both give the same X over SGD. The parameters are X between steps.

    Args:
        base: any torch optimizer that calls its closure once a step.
        memory: "gradient" or "step".

    Raises:
        ValueError: an unknown memory, or LBFGS inside.
        RuntimeError: from `step`, without closure. Whenever a closure raises, the parameters are back at X.

    Source: Gidel et al. 2019 (arXiv 1802.10551); Hsieh et al. 2019 (1908.08465), PEG and OG.
    """

    elementwise = True
    ranges: ClassVar = {"memory": "one of gradient, step"}
    tensors: ClassVar = {"past": absent}

    memory: str
    past: list[Tensor | None] | None  # the last step's gradients, or changes; None for a parameter without gradient

    def __init__(self, base: Optimizer, memory: str = "gradient") -> None:
        super().__init__(base, memory=memory)

    def _update_from(self, anchor: list[Tensor], closure: Closure | None) -> Any:
        if closure is None:
            raise RuntimeError("PastExtragradient needs the gradient at a point ahead: call step(closure)")
        return (self._with_gradient if self.memory == "gradient" else self._with_step)(anchor, closure)

    def _with_gradient(self, anchor: list[Tensor], closure: Closure) -> Any:
        parameters = self.parameters()
        past = self.past
        present: list[Tensor | None] = [None] * len(parameters)

        def replay(**request: Any) -> Any:
            assert past is not None
            for i in self._indices(request.get("players")):
                g = past[i]
                parameters[i].grad = None if g is None else g.clone()  # a copy: some bases write into it

        def evaluate(**request: Any) -> Any:
            loss = closure(**request)
            for i in self._indices(request.get("players")):
                g = parameters[i].grad
                present[i] = None if g is None else g.detach().clone()
            return loss

        if past is not None:
            self.base.step(replay)
        loss = self._step_from(anchor, evaluate)
        self.past = present
        return loss

    def _with_step(self, anchor: list[Tensor], closure: Closure) -> Any:
        parameters = self.parameters()
        if self.past is not None:
            moved = [(p, change) for p, change in zip(parameters, self.past, strict=True) if change is not None]
            foreach.add_([p for p, _ in moved], [change for _, change in moved])
        loss = self._step_from(anchor, closure)
        self.past = list(torch._foreach_sub(parameters, anchor)) if parameters else []
        return loss

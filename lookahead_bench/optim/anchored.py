"""What ProximalPoint, PastExtragradient and SAM share: a base step from here with a gradient from elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper, chain, closure_calls


class Anchored(Wrapper):
    """Steps of the base from an anchor, where the parameters are back whenever a step raises; abstract.

    A subclass overrides `_update_from`.

    Raises:
        ValueError: the innermost optimizer calls its closure more than once a step (LBFGS). One that does so without
            saying is stopped at its first step (RuntimeError).
    """

    level = 2

    def __init__(self, base: Optimizer, **settings: Any) -> None:
        super().__init__(base, **settings)
        *_, innermost = chain(base)
        if isinstance(innermost, LBFGS):
            raise ValueError(self._refusal(innermost))

    def _refusal(self, innermost: Optimizer) -> str:
        return (
            f"{type(self).__name__} gives its base one gradient at a time, and {type(innermost).__name__} does not "
            "call its closure once a step: take a first-order base such as torch.optim.SGD"
        )

    def _update(self, closure: Closure | None) -> Any:
        anchor = foreach.clones(self.parameters())
        try:
            return self._update_from(anchor, closure)
        except BaseException:
            self._go_back(anchor)
            raise

    def _update_from(self, anchor: list[Tensor], closure: Closure | None) -> Any:
        raise NotImplementedError

    def _indices(self, players: Collection[str] | None) -> list[int]:
        owners = [group.get("player") for group in self.param_groups for _ in group["params"]]
        return [i for i, owner in enumerate(owners) if players is None or owner in players]

    @torch.no_grad()  # it runs inside the closure, where gradients are enabled
    def _go_back(self, anchor: list[Tensor], players: Collection[str] | None = None) -> None:
        parameters = self.parameters()
        if players is None:
            foreach.copy_(parameters, anchor)
        else:
            chosen = self._indices(players)
            foreach.copy_([parameters[i] for i in chosen], [anchor[i] for i in chosen])

    def _step_from(self, anchor: list[Tensor], closure: Closure) -> Any:
        """The base's step from the anchor with the gradient at the current point; returns the loss there.

        The parameters go back inside the closure that the base is handed: after the gradient is there, before the base
        moves. Only the evaluated players' go back, so that over Alternating the next player meets this one's move.
        Adding the base's increment to the anchor afterwards would lose it to rounding.
        """

        def evaluate(**request: Any) -> Any:
            loss = closure(**request)
            self._go_back(anchor, request.get("players"))
            return loss

        return self._step_base(evaluate)

    def _step_base(self, closure: Closure) -> Any:
        """The base's step, which must call the closure as often as it should; returns the first loss."""
        calls, expected = 0, closure_calls(self.base)

        def counted(**request: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > expected:
                raise RuntimeError(self._refusal(list(chain(self))[-1]))
            return closure(**request)

        loss = self.base.step(counted)
        if calls < expected:
            raise RuntimeError(self._refusal(list(chain(self))[-1]))
        return loss

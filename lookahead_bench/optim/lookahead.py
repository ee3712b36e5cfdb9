"""Lookahead: k steps forward, one step back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper, absent


class Lookahead(Wrapper):
    """Interpolate between where a cycle of k base steps began (slow weights) and where it ended (fast weights).

        slow = fast                                 just before the first step of a cycle
        fast <- base step of fast                   k times
        fast <- slow + alpha (fast - slow)          the sync; the next cycle's slow weights

    with outer momentum mu and d = fast - slow, one step of Nesterov SGD with lr = alpha on the pseudo-gradient -d:

        b <- mu b + d,  fast <- slow + alpha (d + mu b)

    Lookahead(Lookahead(base)) is Multilayer Lookahead: the outer k counts syncs of the layer inside, inner layers sync
    first and restart from the outer's slow weights. Costs one copy of the parameters per layer, one more each for
    outer momentum and pullback.

    Args:
        base: any torch optimizer.
        k: base steps, or syncs of the layer inside, per sync; an integer >= 1.
        alpha: interpolation, 0 <= alpha <= 1; 1 is the base itself. As an attribute it may be a list, one for each
            parameter.
        pullback: what a sync does to the base's momentum m (`momentum_buffer` or `exp_avg`; a base without has nothing
            to change): "none" keeps it, "pullback" interpolates it like the weights (m <- alpha m + (1 - alpha) m_last
            with the m that the last sync left, at first 0), "reset" sets it to 0.
        outer_momentum: mu, 0 <= mu < 1; above 0 the weights may leave a convex set that the base stays in.

    Raises:
        ValueError: a hyperparameter outside of its range.

    Source: Zhang, Lucas, Hinton, Ba 2019 (arXiv 1907.08610), Algorithm 1; layers: Pushkin, Barba 2021 (2110.14254);
    outer momentum: Kallusky et al. 2025 (2510.15830).
    """

    level = 0
    elementwise = True
    nests = True
    per_parameter = ("alpha",)
    ranges: ClassVar = {
        "k": "an integer >= 1",
        "alpha": "a finite number >= 0 and <= 1",
        "pullback": "one of none, pullback, reset",
        "outer_momentum": "a finite number >= 0 and < 1",
    }
    evaluation = "slow"
    counters = ("count",)
    tensors: ClassVar = {"slow": foreach.clone, "velocity": torch.zeros_like, "last_momentum": absent}

    k: int
    alpha: float | list[float]
    pullback: str
    outer_momentum: float
    count: int  # base steps since the cycle began
    slow: list[Tensor] | None
    velocity: list[Tensor] | None
    last_momentum: list[Tensor | None] | None

    def __init__(
        self, base: Optimizer, k: int = 5, alpha: float = 0.5, pullback: str = "none", outer_momentum: float = 0.0
    ) -> None:
        super().__init__(base, k=k, alpha=alpha, pullback=pullback, outer_momentum=outer_momentum)

    @property
    def period(self) -> int:
        return self.k * super().period

    def evaluation_point(self) -> list[Tensor] | None:
        return self.slow if self.count else None  # between a sync and the next step the parameters are the slow weights

    def _update(self, closure: Closure | None) -> Any:
        # Taken here, not at construction or at the sync: pretrained weights may be loaded in between, and an outer
        # layer's sync moves the point that this layer restarts from.
        if self.count == 0:
            self._open()
        loss = self.base.step(closure)
        self.count += 1
        if self.count >= self.period:
            self._sync()
            self.count = 0
        return loss

    def _check_entry(self, entry: Mapping[str, Any]) -> None:
        super()._check_entry(entry)
        if entry["count"] and entry["slow"] is None:
            raise ValueError(f"saved state of Lookahead: count is {entry['count']}, and there are no slow weights")

    def _open(self) -> None:
        fast = self.parameters()
        if self.slow is None:
            self.slow = foreach.clones(fast)
        else:  # backwards, so that the first parameters, which the base reads next, are in the cache
            foreach.copy_(self.slow[::-1], fast[::-1])

    def _sync(self) -> None:
        assert self.slow is not None
        fast = self.parameters()
        if self.outer_momentum:
            if self.velocity is None:
                self.velocity = [torch.zeros_like(p, requires_grad=False) for p in fast]
            foreach.add_(fast, self.slow, -1.0)  # d
            foreach.scale_(self.velocity, self.outer_momentum)
            foreach.add_(self.velocity, fast)
            foreach.add_(fast, self.velocity, self.outer_momentum)
            foreach.scale_(fast, self.alpha)
            foreach.add_(fast, self.slow)
        else:
            # Towards the slow weights, not from them: exactly the fast weights at alpha = 1.
            foreach.lerp_(fast, self.slow, self._way_back(range(len(fast))))
        if self.pullback != "none":
            self._sync_momentum()

    def _way_back(self, indices: Iterable[int]) -> float | list[float]:
        """1 - alpha, of each of these parameters where they differ."""
        return [1 - self.alpha[i] for i in indices] if isinstance(self.alpha, list) else 1 - self.alpha

    def _sync_momentum(self) -> None:
        momenta: dict[int, Tensor] = {}
        for i, p in enumerate(self.parameters()):
            state = self.state.get(p, {})
            m = state.get("momentum_buffer", state.get("exp_avg"))
            if m is not None:
                momenta[i] = m
        live = list(momenta.values())
        if self.pullback == "reset":
            foreach.zero_(live)
            return
        if self.last_momentum is None:
            self.last_momentum = [None] * len(self.parameters())
        last = [self.last_momentum[i] for i in momenta]
        kept = [torch.zeros_like(m) if b is None else b for m, b in zip(live, last, strict=True)]
        foreach.lerp_(live, kept, self._way_back(momenta))
        foreach.copy_(kept, live)  # a copy: the live buffer moves on with the base
        for i, b in zip(momenta, kept, strict=True):
            self.last_momentum[i] = b

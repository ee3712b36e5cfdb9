"""Projection onto a convex set after every step, and the two sets of the papers: boxes and balls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper
from lookahead_bench.ranges import is_number, require

Constraint = Callable[[list[Tensor]], None]
PerParameter = float | Sequence[float]  # one number for all parameters, or one for each, in their order


class Projected(Wrapper):
    """Step, then move to the nearest point of a convex set.

        z <- P(base step of z)

    Projected(ProximalPoint(base)) projects the new anchor only; ProximalPoint(Projected(base)) every inner point too,
    which is the resolvent form. A frozen parameter (requires_grad=False) is part of the point, and stays.

    Args:
        base: a torch optimizer, Alternating, ProximalPoint or PastExtragradient.
        constraint: projects the joint point, a list of all parameters in their order, in place: `Box`, `Ball` or any
            callable.

    Raises:
        TypeError: the constraint is not callable.

    Source: the resolvent of a normal cone, Pethick, Xie, Cevher 2023 (arXiv 2310.13459); Hsieh et al. 2019
    (1908.08465).
    """

    level = (1, 4)  # outside or inside of the methods for games
    elementwise = True

    constraint: Constraint

    def __init__(self, base: Optimizer, constraint: Constraint) -> None:
        if not callable(constraint):
            raise TypeError(f"constraint must be a callable such as Box(-1.0, 1.0) or Ball(1.0), got {constraint!r}")
        super().__init__(base, constraint=constraint)

    def _update(self, closure: Closure | None) -> Any:
        loss = self.base.step(closure)
        parameters = self.parameters()
        frozen = [p for p in parameters if not p.requires_grad]
        kept = foreach.clones(frozen)
        self.constraint(parameters)
        foreach.copy_(frozen, kept)
        return loss


def _numbers(value: PerParameter, n: int, name: str) -> list[float]:
    if is_number(value):
        return [float(value)] * n  # type: ignore[arg-type]  # a number, as was just seen
    assert isinstance(value, Sequence)
    if len(value) != n:
        raise ValueError(f"{name} has {len(value)} numbers for {n} parameters")
    return [float(v) for v in value]


def _require_numbers(value: PerParameter, name: str) -> None:
    values = [value] if is_number(value) or isinstance(value, str) or not isinstance(value, Sequence) else value
    if not all(is_number(v) and not isnan(v) for v in values):  # type: ignore[arg-type]  # numbers by then
        raise ValueError(f"{name} must be a number, or one per parameter, got {value!r}")


@dataclass(frozen=True)
class Box:
    """lower <= z <= upper, entry by entry; infinite bounds leave a side open.

    Args:
        lower, upper: one number for all parameters, or one for each.

    Raises:
        ValueError: no number, or an empty box.
    """

    lower: PerParameter
    upper: PerParameter

    def __post_init__(self) -> None:
        _require_numbers(self.lower, "lower")
        _require_numbers(self.upper, "upper")
        n = max(len(v) if isinstance(v, Sequence) else 1 for v in (self.lower, self.upper))
        pairs = zip(_numbers(self.lower, n, "lower"), _numbers(self.upper, n, "upper"), strict=True)
        if any(low > high for low, high in pairs):
            raise ValueError(f"lower must be <= upper ({self.upper}), got {self.lower}")

    def __call__(self, point: list[Tensor]) -> None:
        n = len(point)
        bounds = zip(point, _numbers(self.lower, n, "lower"), _numbers(self.upper, n, "upper"), strict=True)
        for p, low, high in bounds:
            p.clamp_(low, high)


@dataclass(frozen=True)
class Ball:
    """|z - center| <= radius in the Euclidean norm of the joint point; a point inside stays as it is, bit for bit.

    Args:
        radius: > 0.
        center: one number for all parameters, or one for each.
        replicas: R; above 1 every parameter has a leading dimension R and each replica is a point of its own.

    Raises:
        ValueError: no number, or out of range.
    """

    radius: float
    center: PerParameter = 0.0
    replicas: int = 1

    def __post_init__(self) -> None:
        require("a finite number > 0", "radius", self.radius)
        require("an integer >= 1", "replicas", self.replicas)
        _require_numbers(self.center, "center")

    def __call__(self, point: list[Tensor]) -> None:
        if not point:
            return
        for p in point:
            if self.replicas > 1 and (p.dim() == 0 or len(p) != self.replicas):
                raise ValueError(f"replicas={self.replicas}, but a parameter has shape {tuple(p.shape)}")
        centers = _numbers(self.center, len(point), "center")
        rows = [(p - c).reshape(self.replicas, -1) for p, c in zip(point, centers, strict=True)]
        norm = torch.stack([row.square().sum(1) for row in rows]).sum(0).sqrt()
        if bool(norm.isinf().any()):  # the squares of a far point overflow: scaled by its largest number they do not
            scale = torch.stack([row.abs().amax(1) for row in rows]).amax(0)
            scaled = torch.stack([(row / scale.unsqueeze(1)).square().sum(1) for row in rows]).sum(0).sqrt()
            norm = torch.where(norm.isinf(), scaled * scale, norm)
        outside = (norm > self.radius).unsqueeze(1)
        factor = (self.radius / norm).unsqueeze(1)
        for p, row, c in zip(point, rows, centers, strict=True):
            p.copy_(torch.where(outside, row * factor + c, p.reshape(self.replicas, -1)).reshape(p.shape))

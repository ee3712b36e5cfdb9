"""In-place arithmetic on lists of tensors; the one place that knows that torch's `_foreach_*` refuse empty lists."""

from __future__ import annotations

import torch
from torch import Tensor


def clone(tensor: Tensor) -> Tensor:
    """A copy with the same strides, outside of the graph."""
    return tensor.detach().clone()


def clones(tensors: list[Tensor]) -> list[Tensor]:
    """A copy of every tensor."""
    return [clone(t) for t in tensors]


def copy_(targets: list[Tensor], sources: list[Tensor]) -> None:
    """target <- source"""
    if targets:
        torch._foreach_copy_(targets, sources)


def lerp_(starts: list[Tensor], ends: list[Tensor], weight: float | list[float]) -> None:
    """start <- start + weight (end - start); exact at weight 0 and 1. weight: one, or one for each"""
    if starts:
        torch._foreach_lerp_(starts, ends, weight)


def add_(targets: list[Tensor], others: list[Tensor], factor: float = 1.0) -> None:
    """target <- target + factor other"""
    if targets:
        torch._foreach_add_(targets, others, alpha=factor)


def scale_(targets: list[Tensor], factor: float | list[float]) -> None:
    """target <- factor target; factor: one, or one for each"""
    if targets:
        torch._foreach_mul_(targets, factor)


def scaled(tensors: list[Tensor], factor: Tensor) -> list[Tensor]:
    """factor tensor; the factor stays on its device"""
    return list(torch._foreach_mul(tensors, factor)) if tensors else []


def zero_(targets: list[Tensor]) -> None:
    """target <- 0"""
    if targets:
        torch._foreach_zero_(targets)

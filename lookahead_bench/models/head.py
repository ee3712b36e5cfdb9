"""Decoder and softmax in one: the logits of a few positions at a time, and their gradient in their place.

A vocabulary of 10,000 makes the logits the largest thing in a language model; plain torch writes them four times
(logits, float32 copy, log-softmax, gradient). Here they are written once a chunk, into memory that stays in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LOGITS_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 27}  # numbers


def cross_entropy(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The mean over positions of log sum exp(logits) - logits[target], with logits = features weight' + bias.

    features [N, E], weight [V, E], bias [V], targets int64 [N]. Products are of autocast's type where that is on, sums
    over the vocabulary of float32 at least. Its gradient comes with it, and can be taken once.
    """
    loss: Tensor = _CrossEntropy.apply(features, weight, bias, targets)
    return loss


@torch.no_grad()
def token_losses(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """log sum exp(logits) - logits[target] of every position [N], in float32 at least; for scoring."""
    rows = _rows(features, weight)
    parts = []
    for some, target in zip(features.split(rows), targets.split(rows), strict=True):
        logits = F.linear(some, weight, bias)
        parts.append(F.cross_entropy(_at_least_float32(logits), target, reduction="none"))
    return torch.cat(parts)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        device = features.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        ctx.dtypes = features.dtype, weight.dtype
        with torch.autocast(device, enabled=False):
            x, w, b = features.to(dtype), weight.to(dtype), bias.to(dtype)
            rows = _rows(x, w)
            room = x.new_empty(min(rows, len(x)), len(w))
            one = x.new_ones(1, len(room))
            losses, x_grad, w_grad, b_grad = [], torch.empty_like(x), None, None
            for start in range(0, len(x), rows):
                some, target = x[start : start + rows], targets[start : start + rows, None]
                logits = torch.addmm(b, some, w.t(), out=room[: len(some)])
                largest, wanted = logits.amax(1), logits.gather(1, target).squeeze(1)
                p = torch.softmax(logits, 1, out=logits)
                # The largest probability is 1 / sum exp(logits - largest), and never small.
                rest = _at_least_float32(p.amax(1)).log()
                losses.append(_at_least_float32(largest) - rest - _at_least_float32(wanted))
                p.scatter_(1, target, p.gather(1, target) - 1)  # the gradient of the logits; scatter_add_ copies it all
                torch.mm(p, w, out=x_grad[start : start + rows])
                w_part, b_part = p.t() @ some, (one[:, : len(some)] @ p).squeeze(0)
                w_grad = w_part if w_grad is None else w_grad.add_(w_part)
                b_grad = b_part if b_grad is None else b_grad.add_(b_part)
        ctx.save_for_backward(x_grad, w_grad, b_grad)
        return torch.cat(losses).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x_grad, w_grad, b_grad = ctx.saved_tensors
        features, weight = ctx.dtypes
        slope = slope / len(x_grad)
        return (
            (x_grad.to(slope.dtype) * slope).to(features),
            w_grad.to(weight).mul_(slope),
            b_grad.to(weight).mul_(slope),
            None,
        )


def _rows(features: Tensor, weight: Tensor) -> int:
    """Positions at once: chunks of one size, as near as can be, that are small enough."""
    most = max(1, LOGITS_AT_ONCE.get(features.device.type, 1 << 27) // len(weight))
    chunks = -(-len(features) // most)
    return max(1, -(-len(features) // chunks)) if chunks else 1


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))

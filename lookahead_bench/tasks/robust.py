"""A smooth loss that is not convex, with noisy gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch
from lookahead_bench.tasks.closed_form import ClosedForm


class GemanMcClure(ClosedForm):
    """f(x) = 1/2 sum_i x_i^2 / (1 + x_i^2), the robust loss; F(x)_i = x_i / (1 + x_i^2)^2. Solution: 0.

    Smooth, with curvatures from -1/4 to 1: concave beyond |x_i| = 1/sqrt(3), and flat far away. dim >= 1; start: every
    number's first value; spread >= 0: standard deviation of each seed's displacement of it; noise: see `ClosedForm`.
    Source: Geman, McClure 1985; here ours, for the claim of Pushkin, Barba 2021 (arXiv 2110.14254).
    """

    def __init__(
        self, *, dim: int, start: float, spread: float, noise: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        super().__init__(
            ["model"], np.full((1, dim), float(start)), np.zeros((1, dim)), spread=spread, noise=noise, seeds=seeds,
            dtype=dtype, device=device,
        )  # fmt: skip

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        square = z * z
        weight = 1 / (1 + square)
        return z * weight * weight, ((square * weight).sum(-1) / 2).unbind(0)

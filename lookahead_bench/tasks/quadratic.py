"""Quadratics of one player: a deterministic one with a condition number, and Lookahead 2019's noisy one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch, Scores
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.tasks.noise import Stream, normal


class Quadratic(ClosedForm):
    """f(x) = 1/2 sum_i a_i x_i^2, a_i spaced evenly in the logarithm from 1 / condition to 1; F(x) = a x.

    dim >= 1 (1: a = 1); condition >= 1; start: every number's first value; spread >= 0: standard deviation of each
    seed's displacement of it. Solution: 0.
    """

    def __init__(
        self, *, dim: int, condition: float, start: float, spread: float, noise: float, seeds: Sequence[int],
        dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        super().__init__(
            ["model"], np.full((1, dim), float(start)), np.zeros((1, dim)), spread=spread, noise=noise, seeds=seeds,
            dtype=dtype, device=device,
        )  # fmt: skip
        self.curvature = torch.logspace(-np.log10(condition) if dim > 1 else 0, 0, dim, dtype=dtype, device=device)

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        gradient = self.curvature * z
        return gradient, ((gradient * z).sum(-1) / 2).unbind(0)


class NoisyQuadratic(ClosedForm):
    """L(x) = 1/2 (x - c)^T A (x - c), c ~ N(0, Sigma) fresh for every batch, A = diag(1, 1/2, ..., 1/dim), Sigma = A^-1.

    dim >= 1; start: every number's first value; spread >= 0: standard deviation of each seed's displacement of it.
    The gradient is A (x - c). Metrics beside the distance to the solution 0: expected_loss, the mean over c at the
    current point, 1/2 sum_i a_i (x_i^2 + sigma_i^2); its mean over seeds is the paper's
    1/2 sum_i a_i (E[x_i]^2 + Var[x_i] + sigma_i^2).
    Source: Zhang, Lucas, Hinton, Ba 2019 (arXiv 1907.08610), section 3.
    """

    def __init__(
        self, *, dim: int, start: float, spread: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        super().__init__(
            ["model"], np.full((1, dim), float(start)), np.zeros((1, dim)), spread=spread, seeds=seeds, dtype=dtype,
            device=device,
        )  # fmt: skip
        self.curvature = 1 / torch.arange(1, dim + 1, dtype=dtype, device=device)
        self.deviation = self.curvature.rsqrt()
        self._centres = Stream(normal(1, dim), seeds, "noise", dtype, device)

    def batch(self, draw: int) -> Batch:
        super().batch(draw)
        return self._centres(draw) * self.deviation

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        away = z if batch is None else z - batch
        gradient = self.curvature * away
        return gradient, ((gradient * away).sum(-1) / 2).unbind(0)

    def scores(self) -> Scores:
        z = self.point[0]
        return {"expected_loss": ((self.curvature * z * z).sum(-1) + z.shape[-1]) / 2}

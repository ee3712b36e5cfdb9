"""Quadratics of one player: a deterministic one with a condition number, and Lookahead 2019's noisy one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch, Scores
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.tasks.noise import Stream, normal, rng


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
    """L(x) = 1/2 (x - c)^T A (x - c), c ~ N(0, A^-1) fresh for every batch, A = diag(1, 1/2, ..., 1/dim).

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
        return self._centres(draw) * self.deviation

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        away = z if batch is None else z - batch
        gradient = self.curvature * away
        return gradient, ((gradient * away).sum(-1) / 2).unbind(0)

    def scores(self) -> Scores:
        z = self.point[0]
        return {"expected_loss": ((self.curvature * z * z).sum(-1) + z.shape[-1]) / 2}


class FiniteSum(ClosedForm):
    """f_i(x) = 1/2 a_i x^2 of one number; half of the a_i are mean + deviation, half mean - deviation.

    Every epoch goes through all n in an order of its own (by the seed), one index a batch. mean, deviation: any
    numbers; n >= 2, even; start. With mean = 0 the loss is flat, and what moves x is the implicit regularisation of
    sampling without replacement alone: one epoch of SGD multiplies x by (1 - lr^2 deviation^2)^(n/2).
    Source: our toy for the claim of Pushkin, Barba 2021 (arXiv 2110.14254); the effect: Smith et al. 2021.
    """

    def __init__(
        self, *, n: int, mean: float, deviation: float, start: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        super().__init__(
            ["model"], np.full((1, 1), float(start)), np.zeros((1, 1)), seeds=seeds, dtype=dtype, device=device
        )
        self.n, self.mean = n, mean
        self.values = np.where(np.arange(n) % 2, mean + deviation, mean - deviation)
        self._curvatures = self.tensor(np.zeros((self.replicas, 1, n)))
        self._epoch = -1

    def batch(self, draw: int) -> Batch:
        epoch, position = divmod(draw, self.n)
        if epoch != self._epoch:
            orders = [rng(seed, "order", epoch).permutation(self.values) for seed in self.seeds]
            self._curvatures, self._epoch = self.tensor(np.stack(orders)[:, None]), epoch
        return self._curvatures[..., position : position + 1]

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        gradient = (self.mean if batch is None else batch) * z
        return gradient, ((gradient * z).sum(-1) / 2).unbind(0)

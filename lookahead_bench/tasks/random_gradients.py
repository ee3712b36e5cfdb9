"""Gradients of a known distribution, whatever the point: what an optimizer makes of them can be measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch, Call, Scores
from lookahead_bench.tasks.closed_form import ClosedForm


class RandomGradients(ClosedForm):
    """f(x) = mean sum_i x_i; the gradient of every number at every step is N(mean, noise^2), so each is a trajectory.

    dim >= 1 numbers, all 0 at first; mean: any; noise >= 0. Training rows carry the rate of a number, its last step
    over its last gradient (both for the last evaluation of F): the variance of it over the numbers, `rate_variance`,
    and that variance's standard error, `rate_variance_error`, sqrt((m4 - m2^2) / dim).
    Source: Liu et al. 2020 (arXiv 1908.03265), figure 9.
    """

    def __init__(
        self, *, dim: int, mean: float, noise: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        super().__init__(["model"], np.zeros((1, dim)), noise=noise, seeds=seeds, dtype=dtype, device=device)
        self.mean = mean
        self._before = self.point.clone()

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        return torch.full_like(z, self.mean), (self.mean * z.sum(-1)).unbind(0)

    def losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        self._before = self.point.detach().clone()
        return super().losses(batch, call)

    def train_metrics(self, draws: int) -> Scores:
        metrics = super().train_metrics(draws)
        if not draws:
            return metrics
        rates = ((self._before - self.point) / self._operator)[0]
        away = (rates - rates.mean(-1, keepdim=True)) ** 2
        variance = away.mean(-1)
        error = ((away**2).mean(-1) - variance**2).clamp(min=0).sqrt() / rates.shape[-1] ** 0.5
        return metrics | {"rate_variance": variance, "rate_variance_error": error}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        yield "test", super().train_metrics(draws)  # after a resume there is no last step

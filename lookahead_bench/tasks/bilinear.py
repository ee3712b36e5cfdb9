"""The finite-sum bilinear game of the Lookahead-Minmax notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.tasks.noise import BLOCK, Array, Stream, rng


class Bilinear(ClosedForm):
    """f = sum over i in the batch of x_i y_i + a_i . x + b_i . y, min over x, max over y; x, y, a_i, b_i in R^dim.

    F = (m y + sum a_i, -(m x + sum b_i)) with m the batch's indicator: gradients are summed, not averaged, as in the
    notebooks' updates. Solution: y* = -sum a_i, x* = -sum b_i.

    dim >= 1; batch_size: indices drawn without replacement, afresh for every batch; dim is the full batch.
    divisor [low, high]: x_0, y_0 and every a_i, b_i are N(0, 1) / sqrt(u), u a uniform integer in low..high drawn for
    each vector (low = high = dim: the stochastic notebook; 1, 10000: the full-batch one). All of it by the run's seed.
    Source: Chavdarova et al. 2021 (arXiv 2006.14567), github:Chavdarova/LAGAN-Lookahead_Minimax bilinear_game/.
    """

    def __init__(
        self, *, players: Sequence[str], dim: int, batch_size: int, divisor: Sequence[int], seeds: Sequence[int],
        dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        drawn = [problem(seed, dim, divisor) for seed in seeds]
        sums = np.stack([linear.sum(1) for _, linear in drawn])  # [R, 2, dim]: sum a_i, sum b_i
        super().__init__(
            players, np.stack([start for start, _ in drawn]), -sums[:, ::-1], seeds=seeds, dtype=dtype, device=device
        )
        self.samples_per_batch = batch_size
        self.sign = self.column([1.0, -1.0])
        self.sums = self.tensor(sums)
        self.batches: Stream | None = None
        if batch_size < dim:
            make = minibatches([linear for _, linear in drawn], batch_size)
            self.batches = Stream(make, seeds, "order", dtype, device)

    def batch(self, draw: int) -> Batch:
        return None if self.batches is None else self.batches(draw)

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        linear, swapped = (self.sums, z.flip(0)) if batch is None else (batch[1:], batch[0] * z.flip(0))
        f = (z * (swapped / 2 + linear)).sum((0, -1))  # both rows of z * swapped are m x y
        return (swapped + linear) * self.sign, (f, -f)


def problem(seed: int, dim: int, divisor: Sequence[int]) -> tuple[Array, Array]:
    """The start [2, dim] and the linear terms a, b [2, n = dim, dim] of one seed."""
    generator = rng(seed, "data")
    scale = 1 / np.sqrt(generator.integers(divisor[0], divisor[1], endpoint=True, size=(2, dim + 1, 1)))
    vectors = scale * generator.standard_normal((2, dim + 1, dim))
    return vectors[:, 0], vectors[:, 1:]


def minibatches(linear: Sequence[Array], size: int) -> Callable[[np.random.Generator, int], Array]:
    """For Stream: the indicator of each batch and its sums of a_i and of b_i, shape [BLOCK, 3, dim]."""

    def make(generator: np.random.Generator, replica: int) -> Array:
        a, b = linear[replica]
        chosen = generator.random((BLOCK, len(a))).argpartition(size - 1)[:, :size]
        indicator = np.zeros((BLOCK, len(a)))
        np.put_along_axis(indicator, chosen, 1.0, axis=1)
        return np.stack([indicator, indicator @ a, indicator @ b], axis=1)

    return make

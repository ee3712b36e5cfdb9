"""The saddle-point problem of the single-call paper: strongly monotone, merely monotone, or locally monotone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.tasks.base import Batch
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.tasks.noise import Array, rng


class Saddle(ClosedForm):
    """min over theta, max over phi of 2 e1 (theta.A1 theta - phi.B1 phi) + e2 ((theta.A2 theta)^2 - (phi.B2 phi)^2)
    + 4 theta.C phi.

    F_theta = 4 e1 A1 theta + 4 e2 (theta.A2 theta) A2 theta + 4 C phi,
    F_phi = 4 e1 B1 phi + 4 e2 (phi.B2 phi) B2 phi - 4 C^T theta.

    dim >= 1, of each player; data_seed: of the matrices, the same for every run; radius > 0: distance of the start
    (in a direction by the run's seed) from the solution 0; noise: standard deviation on every number of F.
    The paper does not say how its matrices are drawn. Here 4 A1 and 4 B1 have eigenvalues spaced evenly over
    [0.5, 1], 4 A2 and 4 B2 too, 4 C has singular values over (0, 0.5], all in random bases: L <= 1.5 where e2 = 0.
    Source: Hsieh, Iutzeler, Malick, Mertikopoulos 2019 (arXiv 1908.08465), figure 1.
    """

    def __init__(
        self, *, players: Sequence[str], dim: int, e1: float, e2: float, radius: float, noise: float, data_seed: int,
        seeds: Sequence[int], dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        starts = np.stack([start(seed, dim, radius) for seed in seeds])
        super().__init__(players, starts, np.zeros((2, dim)), noise=noise, seeds=seeds, dtype=dtype, device=device)
        self.linear, self.quartic, self.across = (
            torch.from_numpy(np.stack(pair)).to(device, dtype) for pair in matrices(dim, data_seed)
        )
        self.e1, self.e2 = e1, e2

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        rows = z.unsqueeze(1) if z.dim() == 2 else z  # [2, R, d]: one batched product for each matrix
        linear, across = rows @ self.linear, rows.flip(0) @ self.across
        own = self.e1 * linear
        f = self.e1 * (rows * linear).sum(-1) / 2
        if self.e2:
            quartic = rows @ self.quartic
            level = (rows * quartic).sum(-1) / 4
            own = own + self.e2 * level.unsqueeze(-1) * quartic
            f = f + self.e2 * level**2
        value = f[0] - f[1] + (rows[0] * across[0]).sum(-1)
        value = value.squeeze(0) if z.dim() == 2 else value
        return (own + across).view(z.shape), (value, -value)


def start(seed: int, dim: int, radius: float) -> Array:
    """The first point of a seed, [2, dim]."""
    direction = rng(seed, "init").standard_normal((2, dim))
    return np.asarray(radius * direction / np.linalg.norm(direction))


def matrices(dim: int, data_seed: int) -> list[tuple[Array, Array]]:
    """(4 A1, 4 B1), (4 A2, 4 B2) and, as they multiply rows from the right, (4 C^T, -4 C)."""
    generator = rng(data_seed, "data")
    positive = [(symmetric(generator, dim), symmetric(generator, dim)) for _ in ("A1, B1", "A2, B2")]
    left, right = basis(generator, dim), basis(generator, dim)
    across = left * np.linspace(0.5 / dim, 0.5, dim) @ right.T
    return [*positive, (across.T, -across)]


def linear_operator(dim: int, data_seed: int) -> Array:
    """A in F(z) = A z, where e1 = 1 and e2 = 0."""
    (a, b), _, (across, _) = matrices(dim, data_seed)
    return np.block([[a, across.T], [-across, b]])


def basis(generator: np.random.Generator, dim: int) -> Array:
    """A random orthogonal matrix."""
    return np.linalg.qr(generator.standard_normal((dim, dim)))[0]


def symmetric(generator: np.random.Generator, dim: int) -> Array:
    """Eigenvalues spaced evenly over [0.5, 1] in a random basis."""
    q = basis(generator, dim)
    return (q * np.linspace(0.5, 1.0, dim)) @ q.T

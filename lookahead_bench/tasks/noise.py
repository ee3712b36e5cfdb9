"""Noise of replica r at draw n as a pure function of (its seed, n), made in blocks so that a draw costs an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.seeds import derive

BLOCK = 64  # draws of one generator; part of what a seed means, so never a function of the number of replicas

Array = np.ndarray[Any, np.dtype[Any]]


def rng(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """NumPy's generator at the start of the stream of one purpose and position."""
    return np.random.default_rng(derive(seed, purpose, *position))


class Stream:
    """Blocks of random arrays for every replica: `stream(draw)` is the draw-th array.

    make       make(generator, replica) -> the arrays of one replica for BLOCK draws, shape [BLOCK, P, d]
    seeds      one a replica
    purpose    of `lookahead_bench.seeds`

    A draw has shape [P, d], with several replicas [P, R, d].
    """

    def __init__(
        self, make: Callable[[np.random.Generator, int], Array], seeds: Sequence[int], purpose: str,
        dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        self.make, self.seeds, self.purpose, self.dtype, self.device = make, seeds, purpose, dtype, device
        self._number = -1
        self._block = torch.empty(0)

    def __call__(self, draw: int) -> Tensor:
        number, position = divmod(draw, BLOCK)
        if number != self._number:
            self._block, self._number = self._drawn(number), number
        return self._block[position]

    def _drawn(self, number: int) -> Tensor:
        first = self.make(rng(self.seeds[0], self.purpose, number), 0)
        if len(self.seeds) == 1:
            block = first
        else:
            block = np.empty((*first.shape[:2], len(self.seeds), *first.shape[2:]))
            block[:, :, 0] = first
            for r, seed in enumerate(self.seeds[1:], start=1):
                block[:, :, r] = self.make(rng(seed, self.purpose, number), r)
        return torch.from_numpy(block).to(self.device, self.dtype)


def normal(players: int, numbers: int, scale: float = 1.0) -> Callable[[np.random.Generator, int], Array]:
    """For Stream: independent N(0, scale^2) numbers, shape [BLOCK, players, numbers]."""

    def make(generator: np.random.Generator, replica: int) -> Array:
        values = generator.standard_normal((BLOCK, players, numbers))
        return values if scale == 1.0 else values * scale

    return make

"""Which samples each batch holds: every epoch goes through the data in an order of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lookahead_bench.errors import ConfigError
from lookahead_bench.seeds import generator


class Epochs:
    """The order of `count` samples in batches of `batch_size` a replica, of one seed or of several side by side.

    The order is a function of (seed, epoch) only, so every batch is a function of its number. An incomplete last batch
    is dropped. Errors: ConfigError where a batch is larger than the data.
    """

    def __init__(self, count: int, batch_size: int, seeds: Sequence[int]) -> None:
        if batch_size > count:
            raise ConfigError(f"dataset.batch_size={batch_size}: at most the {count} training images")
        self.count, self.batch_size, self.seeds = count, batch_size, tuple(seeds)
        self.batches = count // batch_size  # of an epoch
        self._epoch = -1
        self._orders: list[Tensor] = []

    def rows(self, draw: int) -> Tensor:
        """The samples of the draw-th batch, those of the first seed first: indices [R * batch_size]."""
        epoch, position = divmod(draw, self.batches)
        if self._epoch != epoch:
            self._orders = [torch.randperm(self.count, generator=generator(s, "order", epoch)) for s in self.seeds]
            self._epoch = epoch
        start = position * self.batch_size
        return torch.cat([order[start : start + self.batch_size] for order in self._orders])

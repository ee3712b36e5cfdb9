"""A torch optimizer with a fault of one process of several."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch


class FailsInTheSecond(torch.optim.SGD):
    """Its third step, where the process is the second one."""

    steps = 0

    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:  # type: ignore[override]
        self.steps += 1
        if self.steps == 3 and os.environ.get("RANK") == "1":
            raise MemoryError("no memory left")
        return super().step(closure)  # type: ignore[arg-type, return-value]

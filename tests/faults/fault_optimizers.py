"""Optimizers that misbehave: `optimizer.base._target_=fault_optimizers.Raises`."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from torch.optim import SGD


class Raises(SGD):
    """Fails in its fifth step."""

    def step(self, closure: Any = None) -> Any:
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken == 5:
            raise RuntimeError("the fifth step\nhas failed")
        return super().step(closure)


class Sleeps(SGD):
    """Sleeps for a minute in its fifth step."""

    def step(self, closure: Any = None) -> Any:
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken == 5:
            time.sleep(60)
        return super().step(closure)


class Dies(SGD):
    """Kills its process in its fifth step."""

    def step(self, closure: Any = None) -> Any:
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(closure)


class Refuses(SGD):
    """Cannot be built."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        raise ValueError("no two are alike")

"""Learning-rate schedules: a multiplier of every group's rate as a function of the run's progress in [0, 1].

Progress is the largest part used up of the budgets that are set (epochs, steps, oracle calls), so a schedule means the
same for a method that takes two oracle calls a step. One that watches the score is told of every evaluation as well.
No torch here; the trainer hands these to torch's LambdaLR.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Schedule:
    """Called with progress in [0, 1]: a finite multiplier >= 0. A schedule's YAML names a subclass.

    One that watches the score overrides the other three, and says `watches: true` in its YAML.
    """

    def __call__(self, progress: float) -> float:
        raise NotImplementedError

    def observe(self, cost: float) -> bool:
        """Told after every evaluation between the first and the last: the score, turned so that less is better, or nan.

        Gives whether the multiplier is another one now.
        """
        return False

    def state_dict(self) -> dict[str, Any]:
        """What it has observed, for a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""


@dataclass(frozen=True)
class Constant(Schedule):
    """1 throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Step(Schedule):
    """factor ** (number of milestones passed).

    milestones: increasing fractions of the run in [0, 1]; factor > 0.
    Source: Lookahead 2019, CIFAR (0.3, 0.6, 0.8 and 0.2).
    """

    milestones: Sequence[float]
    factor: float

    def __call__(self, progress: float) -> float:
        return float(self.factor ** sum(progress >= milestone for milestone in self.milestones))


def _warm(progress: float, warmup: float) -> float:
    return min(1.0, progress / warmup) if warmup > 0 else 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """min(1, p / warmup) * (1 + cos(pi p)) / 2 at progress p. warmup in [0, 1)."""

    warmup: float = 0.0

    def __call__(self, progress: float) -> float:
        return _warm(progress, self.warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


@dataclass(frozen=True)
class Linear(Schedule):
    """min(1, p / warmup, (1 - p) / (1 - warmup)) at progress p. warmup in [0, 1)."""

    warmup: float = 0.0

    def __call__(self, progress: float) -> float:
        return min(_warm(progress, self.warmup), max(0.0, (1 - progress) / (1 - self.warmup)))


@dataclass(frozen=True)
class Inverse(Schedule):
    """(1 + span p)^-power at progress p: with span = steps / b, the rate lr (1 + t / b)^-power of step t.

    span >= 0; power >= 0.
    Source: lr / (t + b) in Hsieh et al. 2019 (arXiv 1908.08465); 2 / sqrt(t + 1) in Gidel et al. 2019 (1802.10551).
    """

    span: float
    power: float = 1.0

    def __call__(self, progress: float) -> float:
        return float((1 + self.span * progress) ** -self.power)


@dataclass
class Plateau(Schedule):
    """factor ** (number of plateaus so far); a plateau is `patience` evaluations in a row without a new best score.

    patience >= 1, counted in evaluations (`evaluate_every`, an epoch each for most tasks) and anew after each plateau;
    0 < factor <= 1. The score is the one that the run is judged by, of the weights that it is judged by.
    Source: Lookahead 2019, Penn Treebank: the rate is halved after 15 epochs without gain.
    """

    patience: int
    factor: float
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)
    plateaus: int = field(default=0, init=False)

    def __call__(self, progress: float) -> float:
        return float(self.factor**self.plateaus)

    def observe(self, cost: float) -> bool:
        if cost < self.best:
            self.best, self.waited = cost, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        self.waited, self.plateaus = 0, self.plateaus + 1
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "plateaus": self.plateaus}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited, self.plateaus = state["best"], state["waited"], state["plateaus"]

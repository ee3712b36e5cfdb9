"""Where an operator on optimizers may stand. Imports no torch: the command line judges by it before torch is there."""

from __future__ import annotations

import math

Level = int | tuple[int, ...]
ORDER = (
    "from the outside in: averages and Lookahead layers (level 0, any number) > projection (1) > methods for games and "
    "SAM (2) > alternation (3) > projection (4) > a torch optimizer"
)


def place(level: Level, inner: float = math.inf) -> int | None:
    """The level that a wrapper holds around what stands at `inner`: the largest that it may; None: it does not fit.

    level: what the wrapper's class states, one level or several; inner: the level inside, infinity for a torch optimizer.
    """
    levels = (level,) if isinstance(level, int) else level
    return max((own for own in levels if own < inner or own == inner == 0), default=None)

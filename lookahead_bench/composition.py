"""The order in which optimizers compose. Imports no torch.

Every wrapper's class states its `level`, or several; a torch optimizer stands at infinity.
"""

from __future__ import annotations

ORDER = (
    "from the outside in: averages and Lookahead layers (level 0, any number) > projection (1) > methods for games and "
    "SAM (2) > alternation (3) > projection (4) > a torch optimizer"
)


def place(level: int | tuple[int, ...], inner: float) -> int | None:
    """The level at which a wrapper stands around what stands at `inner`: the largest of its own that fits, or None.

    A wrapper stands outside of everything at a higher level; at level 0 they stand in each other too.
    """
    levels = level if isinstance(level, tuple) else (level,)
    return max((own for own in levels if own < inner or own == inner == 0), default=None)

"""The weights that are trained are not always the weights to evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Wrapper, chain

Kind = Literal["fast", "slow", "average"]


def evaluation_kind(optimizer: Optimizer) -> Kind:
    """What `evaluation_weights` shows: the outermost Lookahead's slow weights, Averaged's average, else the fast."""
    return cast(Kind, optimizer.evaluation) if isinstance(optimizer, Wrapper) else "fast"


def evaluation_kinds(optimizer: Optimizer) -> list[str]:
    return list(dict.fromkeys(["fast", evaluation_kind(optimizer)]))


def evaluation_weights_differ(optimizer: Optimizer, kind: str | None = None) -> bool:
    """Whether they are other than the parameters now; right after a sync the slow weights are the parameters."""
    return kind != "fast" and isinstance(optimizer, Wrapper) and optimizer.evaluation_point() is not None


@contextmanager
def evaluation_weights(optimizer: Optimizer, kind: str | None = None) -> Iterator[None]:
    """Put the evaluation weights in place of the parameters; afterwards the parameters are back bit for bit.

    Nests. BatchNorm statistics are the caller's.

    Raises:
        RuntimeError: from a step inside, of any optimizer of the chain.
    """
    point = optimizer.evaluation_point() if isinstance(optimizer, Wrapper) and kind != "fast" else None
    guards = [each.register_step_pre_hook(_refuse_step) for each in chain(optimizer)]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    backup = foreach.clones(parameters) if point is not None else []
    try:
        if point is not None:
            with torch.no_grad():
                foreach.copy_(parameters, point)
        yield
    finally:
        if point is not None:
            with torch.no_grad():
                foreach.copy_(parameters, backup)
        for guard in guards:
            guard.remove()


def _refuse_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    raise RuntimeError("step inside evaluation_weights would train the evaluation weights: leave the context first")

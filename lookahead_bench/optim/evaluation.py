"""The weights that are trained are not always the weights to evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Wrapper, chain


def evaluation_kinds(optimizer: Optimizer) -> list[str]:
    """The kinds of weights that there are to score: "fast", then what the chain keeps from the inside out, each once.

    Of equal kinds the outermost counts, so the last is what the method is evaluated with. A base with `train()` and
    `eval()` of its own (Schedule-Free) keeps an "average".
    """
    return list(reversed(_keepers(optimizer)))


def evaluation_weights_differ(optimizer: Optimizer, kind: str | None = None) -> bool:
    """Whether they are other than the parameters now; right after a sync the slow weights are the parameters."""
    keeper = _keepers(optimizer)[_known(optimizer, kind)]
    if isinstance(keeper, Wrapper):
        return keeper.evaluation_point() is not None
    return keeper is not None and any(keeper.state.values())


@contextmanager
def evaluation_weights(optimizer: Optimizer, kind: str | None = None) -> Iterator[None]:
    """Put weights of one kind in place of the parameters; afterwards the parameters are back bit for bit.

    Nests with the same kind. BatchNorm statistics are the caller's.

    Args:
        kind: one of `evaluation_kinds`; None is the last of them.

    Raises:
        ValueError: a kind that the chain does not have.
        RuntimeError: while weights of another kind are in place; from a step inside, of any optimizer of the chain.
    """
    kind = _known(optimizer, kind)
    for hook in optimizer._optimizer_step_pre_hooks.values():
        if isinstance(hook, _RefuseStep) and hook.kind != kind:
            raise RuntimeError(f"the {hook.kind} weights are in place: leave that context before asking for {kind}")
    keeper = _keepers(optimizer)[kind]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    with ExitStack() as undo:
        for each in chain(optimizer):
            undo.callback(each.register_step_pre_hook(_RefuseStep(kind)).remove)
        point = keeper.evaluation_point() if isinstance(keeper, Wrapper) else None
        has_modes = keeper is not None and not isinstance(keeper, Wrapper)
        if has_modes or point is not None:
            undo.callback(_copy, parameters, foreach.clones(parameters))
        if has_modes:
            undo.callback(_train, keeper, [dict(group) for group in optimizer.param_groups], set(optimizer.state))
            keeper.eval()
        elif point is not None:
            _copy(parameters, point)
        yield


def training_mode(optimizer: Optimizer) -> None:
    """Before the first step: put a base that has modes of its own into its training mode; some begin in the other."""
    *_, base = chain(optimizer)
    if _has_modes(base):
        base.train()  # type: ignore[attr-defined]  # Schedule-Free has it


class _RefuseStep:
    """A step hook that knows which weights are in place."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        raise RuntimeError("step inside evaluation_weights would train the evaluation weights: leave the context first")


def _has_modes(optimizer: Optimizer) -> bool:
    return all(callable(getattr(optimizer, mode, None)) for mode in ("train", "eval"))


def _keepers(optimizer: Optimizer) -> dict[str, Any]:
    """Who keeps each kind of weights, outermost first; the fast ones, the parameters themselves, last: None."""
    keepers: dict[str, Any] = {}
    for each in chain(optimizer):
        kind = each.evaluation if isinstance(each, Wrapper) else "average" if _has_modes(each) else "fast"
        if kind != "fast":
            keepers.setdefault(kind, each)
    return keepers | {"fast": None}


def _known(optimizer: Optimizer, kind: str | None) -> str:
    kinds = evaluation_kinds(optimizer)
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}, got {kind!r}")
    return kinds[-1] if kind is None else kind


@torch.no_grad()
def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    foreach.copy_(targets, sources)


def _train(base: Any, groups: list[dict[str, Any]], known: set[Tensor]) -> None:
    """Back into the training mode, with the groups and the state as they were (`eval` may add empty entries)."""
    base.train()
    for group, before in zip(base.param_groups, groups, strict=True):
        group.clear()
        group.update(before)
    for p in set(base.state) - known:
        del base.state[p]

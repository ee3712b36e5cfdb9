"""One way to write a configuration down: what may be written in several ways is the same run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lookahead_bench.configuration.rules import BUDGETS, RUN
from lookahead_bench.ranges import CADENCE


def normalised(nodes: Mapping[str, Any], layered: Collection[str]) -> dict[str, Any]:
    """The checked configuration with the task's own budgets filled in and every layer written out.

    layered: the optimizer's keys of which a list means one value a layer.
    """
    dataset = {key: value for key, value in nodes["dataset"].items() if key not in RUN}  # they are the run's, below
    own = {key: nodes["dataset"].get(key) for key in BUDGETS}
    budgets = {key: nodes[key] for key in BUDGETS}
    if all(value is None for value in budgets.values()):
        budgets = own
    return {
        **nodes,
        **budgets,
        "dataset": dataset,
        "optimizer": layers(nodes["optimizer"], layered),
        "evaluate_every": cadence(nodes["evaluate_every"]),
    }


def layers(optimizer: Mapping[str, Any], layered: Collection[str]) -> dict[str, Any]:
    """A number beside lists is every layer's and becomes a list; lists of one value are that value."""
    lists = {key: value for key, value in optimizer.items() if key in layered and isinstance(value, list)}
    count = len(next(iter(lists.values()), []))
    if not count:
        return dict(optimizer)
    spread = {key: lists.get(key, [optimizer[key]] * count) for key in optimizer if key in layered}
    return {**optimizer, **{key: values if count > 1 else values[0] for key, values in spread.items()}}


def cadence(value: str | None) -> str | None:
    """`2epoch`, `2 epochs` -> `2 epochs`"""
    if value is None:
        return None
    found = CADENCE.fullmatch(value)
    assert found is not None  # checked before
    return f"{found[1]} {found[2].removesuffix('s')}s"

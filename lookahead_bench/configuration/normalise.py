"""One way to write a configuration down: what may be written in several ways is the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from lookahead_bench.configuration.rules import BUDGETS, RUN
from lookahead_bench.configuration.wrappers import Chain
from lookahead_bench.errors import ConfigError
from lookahead_bench.ranges import CADENCE

AVERAGED = "lookahead_bench.optim.Averaged"


def normalised(nodes: Mapping[str, Any], chain: Chain) -> dict[str, Any]:
    """The checked configuration with the task's own budgets filled in, every layer written out, and the average that
    `ema` asks for among the wrappers.

    chain: what the optimizer's wrappers state.
    """
    dataset = {key: value for key, value in nodes["dataset"].items() if key not in RUN}  # they are the run's, below
    own = {key: nodes["dataset"].get(key) for key in BUDGETS}
    budgets = {key: nodes[key] for key in BUDGETS}
    if all(value is None for value in budgets.values()):
        budgets = own
    optimizer = layers(nodes["optimizer"], chain.layered)
    with_average = averaged(optimizer, nodes["ema"], chain)
    return {
        **nodes,
        **contents(dataset),
        **budgets,
        "dataset": dataset,
        "optimizer": with_average,
        "ema": None if with_average == optimizer else nodes["ema"],  # what does nothing is not in a run's identity
        "evaluate_every": cadence(nodes["evaluate_every"]),
    }


def contents(dataset: Mapping[str, Any]) -> dict[str, str]:
    """What a text of one's own says, not only where it lies: another text at the same place is another run."""
    if (path := dataset.get("text_file")) is None:
        return {}
    try:
        return {"text_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
    except OSError as error:
        raise ConfigError(f"dataset.text_file={path}: cannot be read: {error.strerror or error}") from None


def layers(optimizer: Mapping[str, Any], layered: Container[str]) -> dict[str, Any]:
    """A number beside lists is every layer's and becomes a list; lists of one value are that value."""
    lists = {key: value for key, value in optimizer.items() if key in layered and isinstance(value, list)}
    count = len(next(iter(lists.values()), []))
    if not count:
        return dict(optimizer)
    spread = {key: lists.get(key, [optimizer[key]] * count) for key in optimizer if key in layered}
    return {**optimizer, **{key: values if count > 1 else values[0] for key, values in spread.items()}}


def averaged(optimizer: Mapping[str, Any], decay: float | None, chain: Chain) -> dict[str, Any]:
    """With an exponential average of what every step gives, inside of whatever judges the method (slow weights, an
    average of its own); nothing where `decay` is null, or where the chain keeps such an average itself."""
    own = optimizer.get("decay") is not None
    if decay is None or any(one["_target_"] == AVERAGED and (own or one.get("decay")) for one in optimizer["wrappers"]):
        return dict(optimizer)
    place = next((i for i, one in enumerate(chain.wrappers) if one.level == 0), len(chain.wrappers))
    wrappers = list(optimizer["wrappers"])
    return {**optimizer, "wrappers": [*wrappers[:place], {"_target_": AVERAGED, "decay": decay}, *wrappers[place:]]}


def cadence(value: str | None) -> str | None:
    """`2epoch`, `2 epochs` -> `2 epochs`"""
    if value is None:
        return None
    found = CADENCE.fullmatch(value)
    assert found is not None  # checked before
    return f"{found[1]} {found[2].removesuffix('s')}s"

"""The state of a joint program and each replica's part of it, which is that of a run done alone; plain data.

The optimizer's parameter groups and parameters are those of the first band (replicas that share its settings), then of
the second, ...; all bands have as many (`lookahead_bench.bands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]


def apart(state: State, sizes: Sequence[int]) -> list[State]:
    """Each replica's part of the trainer's state; sizes: replicas of each band."""
    if sum(sizes) == 1:
        return [state]
    shared = {key: value for key, value in state.items() if key not in ("optimizer", "scheduler")}
    own = [part(band, row) for band, size in zip(_bands(state, len(sizes)), sizes, strict=True) for row in range(size)]
    return [part(shared, r) | mine for r, mine in enumerate(own)]


def together(states: Sequence[State], sizes: Sequence[int]) -> State:
    """The state of the joint program: the inverse of `apart`."""
    if len(states) == 1:
        return states[0]
    bounds = pairwise(accumulate(sizes, initial=0))
    bands = [join(states[start:stop]) for start, stop in bounds]
    everyone: State = join(
        [{key: state[key] for key in state if key not in ("optimizer", "scheduler")} for state in states]
    )
    return everyone | _merged(bands)


def part(value: Any, r: int) -> Any:
    """Replica r's part: every tensor but a 0-d one (a counter that all share) has one entry a replica."""
    if isinstance(value, Tensor):
        return value[r].clone() if value.dim() else value
    if isinstance(value, dict):
        return {k: part(v, r) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(part(v, r) for v in value)
    return value


def join(parts: Sequence[Any]) -> Any:
    """What the parts are parts of: the inverse of `part`."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.stack(list(parts)) if first.dim() else first
    if isinstance(first, dict):
        return {k: join([p[k] for p in parts]) for k in first}
    if isinstance(first, list | tuple):
        return type(first)(join([p[i] for p in parts]) for i in range(len(first)))
    return first


def _bands(state: State, count: int) -> list[State]:
    """Optimizer and scheduler of each band, as if its groups were all."""
    optimizer, scheduler = state["optimizer"], state["scheduler"]
    found = []
    for groups, rates in zip(_even(optimizer["param_groups"], count), _lists(scheduler, count), strict=True):
        numbers = [i for group in groups for i in group["params"]]
        own = optimizer | {
            "state": {i - numbers[0]: optimizer["state"][i] for i in numbers if i in optimizer["state"]},
            "param_groups": [_renumbered(group, -numbers[0]) for group in groups],
        }
        found.append({"optimizer": own, "scheduler": rates})
    if "wrappers" in optimizer:
        wrappers = zip(*(_lists(entry, count) for entry in optimizer["wrappers"]), strict=True)
        for one, entries in zip(found, wrappers, strict=True):
            one["optimizer"]["wrappers"] = list(entries)
    return found


def _merged(bands: Sequence[State]) -> State:
    """Optimizer and scheduler of all bands: the inverse of `_bands`."""
    optimizers = [band["optimizer"] for band in bands]
    counts = [sum(len(group["params"]) for group in one["param_groups"]) for one in optimizers]
    placed = list(zip(optimizers, accumulate(counts[:-1], initial=0), strict=True))
    optimizer = optimizers[0] | {
        "state": {i + start: entry for one, start in placed for i, entry in one["state"].items()},
        "param_groups": [_renumbered(group, start) for one, start in placed for group in one["param_groups"]],
    }
    if "wrappers" in optimizer:
        entries = zip(*(one["wrappers"] for one in optimizers), strict=True)
        optimizer["wrappers"] = [_chained(entry) for entry in entries]
    return {"optimizer": optimizer, "scheduler": _chained([band["scheduler"] for band in bands])}


def _renumbered(group: State, by: int) -> State:
    return group | {"params": [i + by for i in group["params"]]}


def _lists(entry: State, count: int) -> list[State]:
    """So many entries, each with its share of every list."""
    shares = {key: _even(value, count) for key, value in entry.items() if isinstance(value, list)}
    return [entry | {key: share[i] for key, share in shares.items()} for i in range(count)]


def _chained(entries: Sequence[State]) -> State:
    """One entry with all lists one after another: the inverse of `_lists`."""
    first = entries[0]
    return first | {key: [v for one in entries for v in one[key]] for key in first if isinstance(first[key], list)}


def _even(values: Sequence[Any], parts: int) -> list[list[Any]]:
    length = len(values) // parts
    return [list(values[i * length : (i + 1) * length]) for i in range(parts)]

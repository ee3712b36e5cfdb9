"""Where each run goes on, and together with whom."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.store import RunDirectory

State = dict[str, Any]
Resumed = tuple[RunDirectory, State | None]  # a run and its checkpoint


def by_checkpoint(runs: Sequence[RunDirectory]) -> list[list[Resumed]]:
    """The runs in the groups that go on together, each with its checkpoint.

    Replicas that were computed together go back to the newest step that all of them have: a process that is killed
    while it saves leaves some a step behind the others, and on their own they would get other bits.
    """
    older = {one.config["seed"]: usable(one) for one in runs}
    at = {seed: next(states, None) for seed, states in older.items()}
    while ahead := [seed for seed in at if any(is_behind(at[other], seed, at[seed]) for other in others(seed, at))]:
        for seed in ahead:
            at[seed] = next(older[seed], None)
    groups: dict[Any, list[Resumed]] = {}
    for one in runs:
        state = at[one.config["seed"]]
        one.truncate(0 if state is None else state["metrics_bytes"])
        checkpoint.drop_newer(one.checkpoints, 0 if state is None else state["step"])
        groups.setdefault(state and (state["step"], state["together"]), []).append((one, state))
    return list(groups.values())


def usable(one: RunDirectory) -> Iterator[State]:
    """This run's sound checkpoints whose rows are there, newest first."""
    for state in checkpoint.newest_first(one.checkpoints):
        if state.get("run_id") == one.config.run_id and one.has_rows(state["metrics_bytes"]):
            yield state


def others(seed: int, at: dict[int, State | None]) -> list[int]:
    """The replicas that this one was computed together with, of those that are to go on."""
    state = at[seed]
    return [] if state is None else [other for other in seeds(state["together"]) if other != seed and other in at]


def is_behind(other: State | None, seed: int, state: State | None) -> bool:
    """Whether `other` must be waited for; not if it has gone on, or begun again, without this replica."""
    if state is None:
        return False
    return other is None or (seed in seeds(other["together"]) and other["step"] < state["step"])


@functools.cache
def seeds(together: str) -> frozenset[int]:
    return frozenset(map(int, together.split(",")))

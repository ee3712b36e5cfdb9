"""Where each run goes on, and together with whom."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.store import RunDirectory, damage

log = logging.getLogger("lookahead_bench")

HEAD = ("run_id", "together", "diverged", "summary", "metrics_bytes", "metrics_sha256")  # the recorder's own part
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
    if why := damage(one.path, one.record() or {}):
        log.warning("%s: %s; it goes on from its last sound checkpoint", one.path, why)
    for state in checkpoint.newest_first(one.checkpoints):
        if state.get("run_id") != one.config.run_id or state["diverged"]:
            continue
        if one.has_rows(state):
            yield state
        else:
            log.warning("%s is not what it was at step %d; going back further", one.metrics_path, state["step"])


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


def own_part(state: State) -> State:
    """A checkpoint without what belongs to the run's files."""
    return {k: v for k, v in state.items() if k not in HEAD}

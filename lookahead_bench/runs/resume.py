"""Where each run goes on, and together with whom."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lookahead_bench import __version__, hardware
from lookahead_bench.errors import RunError
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.store import RunDirectory, damage

log = logging.getLogger("lookahead_bench")

# What the recorder adds to the trainer's state; `keys` is what a whole checkpoint has, `code` what it was made with.
HEAD = ("run_id", "together", "diverged", "summary", "metrics_bytes", "metrics_sha256", "code", "earlier", "keys")
State = dict[str, Any]
Resumed = tuple[RunDirectory, State | None]  # a run and its checkpoint


def by_checkpoint(runs: Sequence[RunDirectory]) -> list[list[Resumed]]:
    """The runs in the groups that go on together, each with its checkpoint.

    Replicas that were computed together go back to the newest step that all of them have: a process that is killed
    while it saves leaves some a step behind the others, and on their own they would get other bits.
    """
    older = {one.digest: usable(one) for one in runs}
    at = {name: next(states, None) for name, states in older.items()}
    while ahead := [name for name in at if any(is_behind(at[other], name, at[name]) for other in others(name, at))]:
        for name in ahead:
            at[name] = next(older[name], None)
    groups: dict[Any, list[Resumed]] = {}
    for one in runs:
        state = at[one.digest]
        one.truncate(0 if state is None else state["metrics_bytes"])
        checkpoint.drop_newer(one.checkpoints, 0 if state is None else state["step"])
        groups.setdefault(state and (state["step"], state["together"]), []).append((one, state))
    return list(groups.values())


def usable(one: RunDirectory) -> Iterator[State]:
    """This run's sound checkpoints whose rows are there, newest first.

    Errors: RunError where there are whole files, but all of another version or without what a run needs.
    """
    if why := damage(one.path, one.record() or {}):
        log.warning("%s: %s; it goes on from its last sound checkpoint", one.path, why)
    found = incomplete = False
    for state in checkpoint.newest_first(one.checkpoints):
        if state.get("run_id") != one.config.run_id or state.get("diverged"):
            continue
        if not set(HEAD) <= state.keys() or not set(state["keys"]) <= state.keys():
            incomplete = True
            log.warning("%s: step %s is incomplete or of another version", one.checkpoints, state.get("step"))
        elif one.has_rows(state):
            found = True
            yield state
        else:
            log.warning("%s is not what it was at step %d; going back further", one.metrics_path, state["step"])
    if incomplete and not found:
        raise RunError(f"{one.config.run_id}: no checkpoint can be used by this version; force=true begins again")


def code() -> dict[str, str | None]:
    """What the numbers are computed with, as far as it may change their last bits."""
    return {"torch": str(torch.__version__), "lookahead-bench": __version__, "git_revision": hardware.git_revision()}


def earlier_code(state: State) -> list[dict[str, str | None]]:
    """What a run that goes on here was computed with before, where that is not what goes on; says so."""
    made, now = state["code"], code()
    differing = [f"{name} {made.get(name)}, now {now[name]}" for name in now if made.get(name) != now[name]]
    if differing:
        log.warning("%s: was begun with %s; its last bits may differ", state["run_id"], "; ".join(differing))
    return [*state["earlier"], *([made] if differing else [])]


def others(name: str, at: dict[str, State | None]) -> list[str]:
    """The replicas that this one was computed together with, of those that are to go on."""
    state = at[name]
    return [] if state is None else [other for other in members(state["together"]) if other != name and other in at]


def is_behind(other: State | None, name: str, state: State | None) -> bool:
    """Whether `other` must be waited for; not if it has gone on, or begun again, without this replica."""
    if state is None:
        return False
    return other is None or (name in members(other["together"]) and other["step"] < state["step"])


@functools.cache
def members(together: str) -> frozenset[str]:
    return frozenset(together.split(","))


def own_part(state: State) -> State:
    """A checkpoint without what belongs to the run's files."""
    return {k: v for k, v in state.items() if k not in HEAD}

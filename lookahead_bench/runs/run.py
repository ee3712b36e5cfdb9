"""One configuration from start to end: skipped if finished, otherwise locked, resumed and trained. No torch here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.errors import Held, InterruptedBySignal, RunError
from lookahead_bench.runs import processes
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import RunDirectory

if TYPE_CHECKING:
    from lookahead_bench.build import Parts

log = logging.getLogger("lookahead_bench")


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    run_id, path   its identity and its directory
    status         done | diverged (a failed or interrupted run raises instead)
    final          {split: {weights: {metric: number}}} at the end
    best           {metric, value, split, weights, step} of the headline score, or None
    record         the whole of run.json
    skipped        it had been finished before, and this is its stored result
    signal         the signal that came too late to interrupt it, if one did
    """

    run_id: str
    path: Path
    status: str
    final: dict[str, Any]
    best: dict[str, Any] | None
    record: dict[str, Any]
    skipped: bool = False
    signal: int | None = None

    @property
    def value(self) -> float:
        """The headline score for sweepers that optimise: the best one on the split for choosing; nan if none."""
        return float(self.best["value"]) if self.best else float("nan")


def run(overrides: Sequence[str] = ()) -> RunResult:
    """Do one run, or return its stored result; with replicas=R do R runs and return the first one's result.

    overrides: as on the command line, e.g. ["optimizer=lookahead", "dataset=digits", "seed=3"].
    Errors: ConfigError, DataError, RunError (one line each); InterruptedBySignal; whatever made the run fail.
    """
    return execute(configuration.load(overrides))[0]


def execute(config: Config, wait: bool = True) -> list[RunResult]:
    """Do the runs of a configuration, one a replica. Finished ones are returned as they are stored, without torch.

    wait: for a run that another process is doing; its result is then returned, or the run gone on with if that process
    left it unfinished. Otherwise such a run raises Held at once.
    """
    (results,) = execute_jointly([config], wait)
    if isinstance(results, Held):
        raise results
    return results


def execute_jointly(configs: Sequence[Config], wait: bool = True) -> list[list[RunResult] | Held]:
    """Do the runs of configurations that are `batchable` as one program, which takes one alone as it is.

    Gives the results of each; Held for one of which another process has a run, where that is not waited for.
    """
    from lookahead_bench.data import fetch

    config = configs[0]
    data, data_dir = config.data, config["data_dir"]
    directories: dict[str, RunDirectory] = {}
    jobs = [[directories.setdefault(one.run_id, RunDirectory(one)) for one in job.seeds()] for job in configs]
    todo, place = unfinished(directories.values()), processes.meeting_place(config)
    if todo or place:
        fetch.within_reach(data, data_dir, fetch.PATIENCE)  # before torch takes seconds to load

        from lookahead_bench.build import resolve
        from lookahead_bench.ranks import joined

        parts = resolve(config)
        if data:
            fetch.prepare(data, data_dir, fetch.PATIENCE)
    asked = [[one for one in job if one in todo] for job in jobs]
    held: Mapping[int, Held] = {}
    with StopSignals() as signals:
        if place is None and processes.count(config) > 1:
            with owned(asked, wait, signals) as held:
                todo = unfinished(todo) if not held else []
            if todo:
                return [processes.start(config, todo, signals)]
        elif todo or place:
            with joined(place) as ranks:
                todo, held = train(parts.among(ranks), asked, wait, signals)
    results: list[list[RunResult] | Held] = []
    for i, job in enumerate(jobs):
        for one in job if i not in held else ():
            if one not in todo:
                one.enter_study()
        told = (replace(result(one), skipped=one not in todo, signal=signals.received) for one in job)
        results.append(held[i] if i in held else list(told))
    return results


def unfinished(runs: Iterable[RunDirectory]) -> list[RunDirectory]:
    """Those that are to be done, or done again."""
    return [one for one in runs if one.due()]


def train(
    parts: Parts, jobs: Sequence[Sequence[RunDirectory]], wait: bool, signals: StopSignals
) -> tuple[list[RunDirectory], Mapping[int, Held]]:
    """Own the runs of these jobs and do them, or take part in what the first process does.

    Gives the runs that were yet to be done, and the jobs that another process has.
    """
    from lookahead_bench.runs.resume import by_checkpoint
    from lookahead_bench.runs.session import Session, follow

    ranks = parts.machine.ranks
    if ranks.rank > 0:
        if ranks.first(False):
            follow(parts, signals)
        return [one for job in jobs for one in job], {}
    with owned(jobs, wait, signals) as held:
        ours = dict.fromkeys(one for i, job in enumerate(jobs) if i not in held for one in job)
        todo = unfinished(ours)  # somebody may have been faster
        ranks.first(bool(todo))
        for one in filter(RunDirectory.begins_anew, todo):
            one.clear()
        todo.sort(key=lambda one: str(one.config["optimizer"]))  # a band is consecutive
        for group in by_checkpoint(todo) if todo else ():
            if signals.received is not None:
                raise InterruptedBySignal(group[0][0].config.run_id, signals.received)
            Session(parts, group).run(signals)
    return todo, held


def stored(config: Config) -> list[RunResult]:
    """The results of the runs of a configuration, all of which are finished."""
    runs = [RunDirectory(one) for one in config.seeds()]
    for one in runs:
        one.enter_study()
    return [replace(result(one), skipped=True) for one in runs]


@contextlib.contextmanager
def owned(jobs: Sequence[Sequence[RunDirectory]], wait: bool, signals: StopSignals) -> Iterator[dict[int, Held]]:
    """Own the runs of these jobs, but for the jobs that it gives: another process has a run of theirs.

    Everybody who waits takes the runs in one order, so that no two wait for each other.
    """
    mine: dict[RunDirectory, None] = {}
    held: dict[int, Held] = {}
    places = [(i, one) for i, job in enumerate(jobs) for one in job]
    try:
        for i, one in sorted(places, key=lambda place: place[1].path) if wait else places:
            if one in mine or i in held:
                continue
            try:
                wait_for(one, signals) if wait else one.acquire()
                mine[one] = None
            except Held as error:
                held[i] = error
        yield held
    finally:
        for one in mine:
            one.lock.release()


def wait_for(one: RunDirectory, signals: StopSignals) -> None:
    """Own this run as soon as nobody else does. Errors: InterruptedBySignal."""
    told = False
    while True:
        try:
            return one.acquire()
        except Held as held:
            if signals.received is not None:
                raise InterruptedBySignal(one.config.run_id, signals.received) from None
            if not told:
                log.warning("%s; waiting for it", held)
            told = True


def result(one: RunDirectory) -> RunResult:
    record = one.record()
    if record is None:
        raise RunError(f"{one.path}: run.json is missing or damaged; repeat the run with force=true")
    return RunResult(one.config.run_id, one.path, record["status"], record["final"], record["best"], record)

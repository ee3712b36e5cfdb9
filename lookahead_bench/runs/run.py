"""One configuration from start to end: skipped if finished, otherwise locked, resumed and trained. No torch here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.errors import Held, InterruptedBySignal, RunError
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import RunDirectory

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
    from lookahead_bench.data import fetch

    runs = [RunDirectory(one) for one in config.seeds()]
    todo = [one for one in runs if one.due()]
    if todo:
        data, data_dir = config.data, config["data_dir"]
        fetch.within_reach(data, data_dir, fetch.PATIENCE)  # before torch takes seconds to load

        from lookahead_bench.build import resolve
        from lookahead_bench.runs.resume import by_checkpoint
        from lookahead_bench.runs.session import Session

        parts = resolve(config)
        if data:
            fetch.prepare(data, data_dir, fetch.PATIENCE)
    with StopSignals() as signals, owned(todo, wait, signals):
        todo = [one for one in todo if one.due()]  # somebody may have been faster
        for one in todo:
            if one.begins_anew():
                one.clear()
        for group in by_checkpoint(todo) if todo else ():
            if signals.received is not None:
                raise InterruptedBySignal(group[0][0].config.run_id, signals.received)
            Session(parts, group).run(signals)
    for one in runs:
        if one not in todo:
            one.enter_study()
    return [replace(result(one), skipped=one not in todo, signal=signals.received) for one in runs]


def stored(config: Config) -> list[RunResult]:
    """The results of the runs of a configuration, all of which are finished."""
    runs = [RunDirectory(one) for one in config.seeds()]
    for one in runs:
        one.enter_study()
    return [replace(result(one), skipped=True) for one in runs]


@contextlib.contextmanager
def owned(runs: Sequence[RunDirectory], wait: bool, signals: StopSignals) -> Iterator[None]:
    """Own these runs. Everybody takes them in the order of their seeds, so that no two wait for each other."""
    try:
        for one in runs:
            told = False
            while True:
                try:
                    one.acquire()
                    break
                except Held as held:
                    if not wait:
                        raise
                    if signals.received is not None:
                        raise InterruptedBySignal(one.config.run_id, signals.received) from None
                    if not told:
                        log.warning("%s; waiting for it", held)
                    told = True
        yield
    finally:
        for one in runs:
            one.lock.release()


def result(one: RunDirectory) -> RunResult:
    record = one.record()
    if record is None:
        raise RunError(f"{one.path}: run.json is missing or damaged; repeat the run with force=true")
    return RunResult(one.config.run_id, one.path, record["status"], record["final"], record["best"], record)

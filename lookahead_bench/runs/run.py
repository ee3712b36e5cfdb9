"""One configuration from start to end: skipped if finished, otherwise locked, resumed and trained. No torch here."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.errors import RunError
from lookahead_bench.runs.store import RunDirectory


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


class InterruptedBySignal(KeyboardInterrupt):
    """The run was asked to stop; it is saved, and the same command goes on from there."""

    def __init__(self, run_id: str, number: int) -> None:
        super().__init__(f"{run_id}: interrupted by {signal.Signals(number).name}; the same command resumes it")
        self.number = number


def run(overrides: Sequence[str] = ()) -> RunResult:
    """Do one run, or return its stored result; with replicas=R do R runs and return the first one's result.

    overrides: as on the command line, e.g. ["optimizer=lookahead", "dataset=digits", "seed=3"].
    Errors: ConfigError, DataError, RunError (one line each); InterruptedBySignal; whatever made the run fail.
    """
    return execute(configuration.load(overrides))[0]


def execute(config: Config) -> list[RunResult]:
    """Do the runs of a configuration, one a replica. Finished ones are returned as they are stored, without torch."""
    from lookahead_bench.data import fetch

    runs = [RunDirectory(one) for one in config.seeds()]
    todo = [one for one in runs if config["force"] or not one.finished()]
    late = None
    if todo:
        name = config["dataset"].get("data", config["dataset"]["name"])
        if name in fetch.SOURCES:  # before torch takes seconds to load only to find them missing
            fetch.within_reach(name, config["data_dir"], fetch.PATIENCE)

        from lookahead_bench.runs.session import Session, by_checkpoint, rehearse

        rehearse(config)
        if name in fetch.SOURCES:
            fetch.prepare(name, config["data_dir"], fetch.PATIENCE)
    try:
        for one in todo:
            one.acquire()
        todo = [one for one in todo if config["force"] or not one.finished()]  # somebody may have been faster
        for one in todo if config["force"] else ():
            one.clear()
        for group in by_checkpoint(todo) if todo else ():
            if late is not None:
                raise InterruptedBySignal(group[0][0].config.run_id, late)
            late = Session(config, group).run()
    finally:
        for one in runs:
            one.lock.release()
    return [replace(result(one), skipped=one not in todo, signal=late) for one in runs]


def result(one: RunDirectory) -> RunResult:
    record = one.record()
    if record is None:
        raise RunError(f"{one.path}: run.json is missing or damaged; repeat the run with force=true")
    return RunResult(one.config.run_id, one.path, record["status"], record["final"], record["best"], record)

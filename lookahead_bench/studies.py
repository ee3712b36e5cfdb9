"""A study: the runs that a table or a figure is made from, what each is doing, and doing what is missing. No torch.

study = Study.of(overrides)                  # a sweep of the command line
study = Study.named("theory/games", [])      # an experiment of conf/experiment, or all those of a folder
study.run()                                  # what is missing, through Hydra's launcher
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.compose import PRIMARY, Loader, hydra_main, jobs, loader
from lookahead_bench.configuration.files import options
from lookahead_bench.configuration.messages import COMPOSING, translate
from lookahead_bench.errors import ConfigError, DataError, Held, InterruptedBySignal, RunError
from lookahead_bench.notices import complain, listen
from lookahead_bench.runs.run import RunResult, execute, stored
from lookahead_bench.runs.store import FINISHED, RunDirectory, status_of

Job = tuple[str, ...]  # its overrides
MANY = 1000  # runs, from which on a sweep asks before it begins


@dataclass(frozen=True)
class Study:
    """overrides: what all jobs share, Hydra's own among them; jobs: the overrides of each, and its configuration."""

    overrides: tuple[str, ...]
    jobs: dict[Job, Config]
    composing: Loader

    @classmethod
    def of(cls, overrides: Sequence[str], composing: Loader | None = None) -> Study | None:
        """The sweep that the overrides say; None where a sweeper decides as it goes. Errors: ConfigError."""
        composing = composing or loader()
        try:
            planned = jobs(overrides, composing)
        except COMPOSING as error:
            raise translate(error, overrides) from None
        if planned is None:
            return None
        configs = configuration.every_job(planned, composing)
        return cls(tuple(overrides), dict(zip(map(tuple, planned), configs, strict=True)), composing)

    @classmethod
    def named(cls, name: str, overrides: Sequence[str]) -> Study:
        """The experiment `name`, or all experiments below the folder of that name. Errors: ConfigError."""
        found = [one for one in options("experiment") if one == name or one.startswith(f"{name}/")]
        composing = loader()
        parts = [cls.of([f"experiment={one}", *overrides], composing) for one in found]
        every = {job: config for part in parts if part for job, config in part.jobs.items()}
        return cls((f"experiment={found[0]}", *overrides), every, composing)

    def runs(self) -> Iterator[Config]:
        """One configuration a run."""
        return (one for config in self.jobs.values() for one in config.seeds())

    def missing(self) -> list[Job]:
        """The jobs of which a run is not finished, or is to be repeated."""
        return [job for job, config in self.jobs.items() if any(map(is_missing, config.seeds()))]

    def missing_runs(self) -> list[Config]:
        return [one for one in self.runs() if is_missing(one)]

    def require_confirmation(self) -> None:
        """Errors: ConfigError where more than MANY runs are to be done, and nobody has said `confirm=true`."""
        runs = list(self.runs())
        if len(runs) > MANY and not runs[0]["confirm"] and (todo := sum(map(is_missing, runs))) > MANY:
            raise ConfigError(
                f"a sweep of {len(runs):,} runs, of which {todo:,} are to do: confirm=true starts it, and --dry-run "
                "estimates what it costs"
            )

    def require_data(self) -> None:
        """Errors: DataError where data of a missing run are neither here nor within reach."""
        from lookahead_bench.data.fetch import PATIENCE, within_reach

        for name, data_dir in {(config.data, config["data_dir"]) for config in self.missing_runs()}:
            within_reach(name, data_dir, PATIENCE)

    def check(self, todo: Iterable[Job]) -> None:
        """Refuse a study with something that cannot be built, before its first run. Errors: ConfigError."""
        configs = (self.jobs[job] for job in todo)
        different = {str([one[k] for k in ("optimizer", "schedule", "gpu")] + [one.about]): one for one in configs}
        if different:
            from lookahead_bench.build import resolve

            for one in different.values():
                resolve(one)

    def run(self, *, quiet: bool = False) -> Counter[str]:
        """Do what is missing, and tell a line a job unless quiet; gives how many runs ended how.

        A run that another process holds is passed over, and waited for when the others are done. Where a launcher's
        process is killed, the jobs that it had begun are left, and those that nobody has begun are done.
        """
        jobs = self.missing()
        self.check(jobs)
        before = {job: self.holders(job) for job in jobs}
        for job, config in self.jobs.items():
            if job not in before:
                told(stored(config), quiet=quiet)
        held: list[Job] = []
        while jobs:
            try:
                held = self.launch(jobs, Doer(self.jobs, quiet=quiet))
                break
            except BrokenExecutor:
                complain("a worker process was killed (was memory short?); what had been begun is left interrupted, "
                          "and the same command resumes it")  # fmt: skip
                rest = [job for job in jobs if job in self.missing() and self.holders(job) == before[job]]
                jobs = rest if rest != jobs else []
        self.launch(held, Doer(self.jobs, quiet=quiet, wait=True))
        places = (RunDirectory(one).path for one in self.runs())
        return Counter(status_of(path) if (path / "run.json").exists() else "missing" for path in places)

    def holders(self, job: Job) -> list[str]:
        """Who has had each run of this job, last or now."""
        return [RunDirectory(one).lock.holder() for one in self.jobs[job].seeds()]

    def launch(self, todo: Sequence[Job], doer: Doer) -> list[Job]:
        """Hand jobs to the launcher that the overrides choose; gives those that were passed over."""
        if not todo:
            return []
        from hydra._internal.callbacks import Callbacks
        from hydra.core.plugins import Plugins
        from hydra.types import HydraContext, RunMode

        warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")  # what a killed worker leaves
        hydra = hydra_main(self.composing)
        try:
            master = hydra.compose_config(PRIMARY, list(self.overrides), RunMode.MULTIRUN)
            callbacks = Callbacks(master)
            callbacks.on_multirun_start(config=master, config_name=PRIMARY)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
            launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=doer, config=master)
            ends = launcher.launch([list(job) for job in todo], initial_job_idx=0)
            held = [job for job, end in zip(todo, ends, strict=True) if end.return_value is None]  # or what it raised
            callbacks.on_multirun_end(config=master, config_name=PRIMARY)
            return held
        except COMPOSING as error:
            raise translate(error, self.overrides) from None


def is_missing(one: Config) -> bool:
    return RunDirectory(one).due()


class Doer:
    """One job of a sweep, as Hydra calls it; gives the headline score, which optimising sweepers want.

    None where it was passed over, nan where it has failed, which is told at once. To a sweeper that decides as it goes
    a job without a score is raised: it is to record it as failed, and a nan is none of its values.

    planned: the configurations of the jobs, where they are known; in another process a job composes its own.
    wait: for a run that another process holds, instead of passing it over. quiet: no line about it.
    """

    def __init__(self, planned: dict[Job, Config], *, wait: bool = False, quiet: bool = False) -> None:
        self.planned, self.wait, self.quiet = planned, wait, quiet

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"planned": {}}

    def __call__(self, composed: Any) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        listen()
        hydra = HydraConfig.get()
        job, decides = job_of(hydra.overrides), hydra.runtime.choices["hydra/sweeper"] != "basic"
        try:
            result = do(self.planned.get(job) or configuration.load(job), wait=self.wait, quiet=self.quiet)
        except Held:
            return None  # it is looked at again at the end
        except (ConfigError, DataError, RunError) as error:
            complain(error)
            if decides:
                raise
            return math.nan  # the others go on; the sweep counts this one as failed
        if result.signal is not None:  # it was meant for the sweep as well
            raise InterruptedBySignal(result.run_id, result.signal)
        if decides and math.isnan(result.value):
            raise RunError(f"{result.run_id}: {result.status}, and has no score")
        return float(result.value)


def job_of(overrides: Any) -> Job:
    """The overrides of a job, given what Hydra keeps of them."""
    return (*(o for o in overrides.hydra if o.startswith("hydra.searchpath=")), *overrides.task)


def do(config: Config, *, table: bool = False, wait: bool = True, quiet: bool = False) -> RunResult:
    """Do the runs of one configuration and say what came of them, in a line or a table; gives the first one's result.

    Errors: RunError, one line, where a run failed; Held, where another process has one and wait is false.
    """
    from lookahead_bench.runs.files import read_json

    try:
        results = execute(config, wait=wait)
    except (ConfigError, DataError, RunError):
        raise
    except Exception as error:
        path = Path(config["results_dir"], "runs", config.run_id, "run.json")
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        where = f" (the traceback is in {path})" if "traceback" in (read_json(path) or {}) else ""
        raise RunError(f"{config.run_id} failed: {reason}{where}") from error
    return told(results, table=table, quiet=quiet)


def told(results: list[RunResult], *, table: bool = False, quiet: bool = False) -> RunResult:
    from lookahead_bench.report.summary import tell

    if not quiet:
        tell(results, table=table)
    return results[0]


def succeeded(counts: Counter[str]) -> bool:
    """Whether every run came to a result; a diverged one is a result."""
    return set(counts) <= set(FINISHED)

"""A study: the runs that a table or a figure is made from, what each is doing, and doing what is missing. No torch.

study = Study.of(overrides)                  # a sweep of the command line
study = Study.named("theory/games", [])      # an experiment of conf/experiment, or all those of a folder
study.run()                                  # what is missing, through Hydra's launcher
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.compose import PRIMARY, Loader, hydra_main, jobs, loader
from lookahead_bench.configuration.files import options
from lookahead_bench.configuration.messages import COMPOSING, translate
from lookahead_bench.doing import Doer, Job, told
from lookahead_bench.errors import ConfigError, InterruptedBySignal
from lookahead_bench.notices import complain
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.news import failure, news, now
from lookahead_bench.runs.processes import meeting_place
from lookahead_bench.runs.run import stored
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import FINISHED, RunDirectory, status_of

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

    from lookahead_bench.following import Following

HERE = ("basic", "replicas")  # launchers that do their jobs in this process
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
        search = composing.search
        configs = configuration.every_job(planned, composing)
        study = Study(tuple(overrides), dict(zip(map(tuple, planned), configs, strict=True)), composing)
        if search is None:
            return study
        from lookahead_bench.search.search import Search

        return Search.over(study, search)

    @classmethod
    def named(cls, name: str, overrides: Sequence[str]) -> Study:
        """The experiment `name`, or all experiments below the folder of that name. Errors: ConfigError."""
        found = [one for one in options("experiment") if one == name or one.startswith(f"{name}/")]
        composing = loader()
        parts = [cls.of([f"experiment={one}", *overrides], composing) for one in found]
        every = {job: config for part in parts if part for job, config in part.jobs.items()}
        return cls((f"experiment={found[0]}", *overrides), every, composing)

    @property
    def later(self) -> int:
        """How many runs follow from what these will say."""
        return 0

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
        if any(map(meeting_place, self.jobs.values())):
            raise ConfigError("gpu=ddp: a sweep starts the processes of each of its jobs; leave torchrun out")
        configs = (self.jobs[job] for job in todo)
        different = {str([one[k] for k in ("optimizer", "schedule", "gpu")] + [one.about]): one for one in configs}
        if different:
            from lookahead_bench.build import resolve

            for one in different.values():
                resolve(one)

    def run(self, *, quiet: bool = False) -> Counter[str]:
        """Do what is missing, and tell a line a job unless quiet; gives how many runs ended how.

        A run that another process holds is passed over, and looked at again when the others are done and it is let go.
        One that fails meanwhile, here or elsewhere, is not tried again.
        """
        todo = dict.fromkeys(self.missing())
        self.check(todo)
        for job, config in self.jobs.items():
            if job not in todo:
                told(stored(config), quiet=quiet)
        if todo:
            self.do_all(list(todo), quiet=quiet)
        places = (RunDirectory(one).path for one in self.runs())
        return Counter(status_of(path) if (path / "run.json").exists() else "missing" for path in places)

    def do_all(self, todo: list[Job], *, quiet: bool) -> None:
        elsewhere = self.composed()[1].hydra.runtime.choices["hydra/launcher"] not in HERE
        doer = Doer(self.jobs, since=now(Path(self.jobs[todo[0]]["results_dir"])), followed=elsewhere, quiet=quiet)
        following = None
        with contextlib.ExitStack() as stack:
            if elsewhere:
                from lookahead_bench.following import Following

                every = [self.jobs[job] for job in todo]
                following = stack.enter_context(Following(every, doer.since, quiet=quiet))
            held = self.spread(todo, doer, following)
            for job in held[:1]:
                others = f" (and {len(held) - 1} other jobs are held)" if len(held) > 1 else ""
                complain(f"{self.jobs[job].run_id}: is held by {self.last_holders(job)[0]}{others}; waiting for it")
            while held:
                free = self.wait(held)
                for job in free:
                    held.remove(job)
                again = [job for job in free if not elsewhere or self.is_open(job, doer)]  # here it tells what is there
                held += self.spread(again, doer, following)

    def wait(self, held: Sequence[Job]) -> list[Job]:
        """Wait until other processes let go of the runs of a job; gives those that are free."""
        with StopSignals() as signals:
            while True:
                free = [job for job in held if not any(lock.held_by_another() for lock in self.locks(job))]
                if free:
                    return free
                if signals.received is not None:
                    raise InterruptedBySignal(self.jobs[held[0]].run_id, signals.received)
                time.sleep(0.3)

    def spread(self, jobs: list[Job], doer: Doer, following: Following | None) -> list[Job]:
        """Have the launcher do these jobs; gives those that were passed over.

        Where it loses a process, the jobs that nobody has begun are done next, and then those that had been begun, one
        at a time: one of them was the process's death, and the others only its neighbours.
        """
        before = {job: self.last_holders(job) for job in jobs}
        held: list[Job] = []
        begun: list[Job] = []
        while jobs:
            try:
                held += self.launch(jobs, doer, following)
                break
            except Exception as error:
                if not is_loss(error):
                    raise
                complain("a worker process was killed (was memory short?); what it left is done again, a job at a time")
                left = [job for job in jobs if self.is_open(job, doer)]
                rest = [job for job in left if self.last_holders(job) == before[job]]
                begun += [job for job in left if job not in rest]
                jobs = rest if rest != jobs else []
        for job in begun:
            try:
                held += self.launch([job], doer, following)
            except Exception as error:
                if not is_loss(error):
                    raise
                complain(f"{self.jobs[job].run_id}: its process was killed again; the same command resumes it")
        return held

    def is_open(self, job: Job, doer: Doer) -> bool:
        """Whether a job is still to be done: a run of it is missing, and none has failed since the sweep began."""
        runs = [RunDirectory(one) for one in self.jobs[job].seeds()]
        over = [news(one, doer.since, FINISHED) if one.config["force"] is True else one.finished() for one in runs]
        return not all(over) and failure(runs, doer.since) is None

    def locks(self, job: Job) -> list[Lock]:
        return [RunDirectory(one).lock for one in self.jobs[job].seeds()]

    def last_holders(self, job: Job) -> list[str]:
        """Who has had each run of this job, last or now."""
        return [lock.holder() for lock in self.locks(job)]

    def composed(self) -> tuple[Hydra, DictConfig]:
        """Hydra, and the configuration of the sweep itself: its launcher is in there."""
        from hydra.types import RunMode

        hydra = hydra_main(self.composing)
        try:
            return hydra, hydra.compose_config(PRIMARY, list(self.overrides), RunMode.MULTIRUN)
        except COMPOSING as error:
            raise translate(error, self.overrides) from None

    def launch(self, todo: Sequence[Job], doer: Doer, following: Following | None) -> list[Job]:
        """Hand jobs to the launcher that the overrides choose; gives those that were passed over."""
        if not todo:
            return []
        from hydra._internal.callbacks import Callbacks
        from hydra.core.plugins import Plugins
        from hydra.types import HydraContext

        warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")  # what a killed worker leaves
        hydra, master = self.composed()
        try:
            callbacks = Callbacks(master)
            callbacks.on_multirun_start(config=master, config_name=PRIMARY)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
            launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=doer, config=master)
            ends = launcher.launch([list(job) for job in todo], initial_job_idx=0)
            held, interrupted = [], None
            for job, end in zip(todo, ends, strict=True):
                match end.return_value:  # or what it raised
                    case None:
                        held.append(job)
                    case InterruptedBySignal() as error:
                        interrupted = error
                    case str() as reason if following is not None:
                        following.ended(self.jobs[job], reason)
            if interrupted is not None:
                raise interrupted
            callbacks.on_multirun_end(config=master, config_name=PRIMARY)
            return held
        except COMPOSING as error:
            raise translate(error, self.overrides) from None


def is_loss(error: Exception) -> bool:
    """Whether an engine says that it has lost a process."""
    return isinstance(error, BrokenExecutor) or type(error).__module__.split(".")[0] in ("ray", "submitit")


def is_missing(one: Config) -> bool:
    return RunDirectory(one).due()


def succeeded(counts: Counter[str]) -> bool:
    """Whether every run came to a result; a diverged one is a result."""
    return set(counts) <= set(FINISHED)

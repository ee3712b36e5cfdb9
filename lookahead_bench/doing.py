"""Doing a job, the runs of one configuration or of some that are one program: here, or as a launcher calls it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.errors import ConfigError, DataError, Held, InterruptedBySignal, RunError
from lookahead_bench.notices import be_a_worker, complain, listen
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.news import failed, failure
from lookahead_bench.runs.run import RunResult, execute_jointly
from lookahead_bench.runs.signals import stopped_between_runs
from lookahead_bench.runs.store import RunDirectory

Job = tuple[str, ...]  # its overrides
End = float | str | InterruptedBySignal | None  # of a job, see Doer


def do(config: Config, *, table: bool = False, quiet: bool = False) -> None:
    """Do the runs of one configuration and say what came of them, in a line or a table.

    Errors: RunError, one line, where a run failed.
    """
    (results,) = do_jointly([config], wait=True)
    assert not isinstance(results, Held)
    told(results, table=table, quiet=quiet)


def do_jointly(configs: Sequence[Config], *, wait: bool) -> list[list[RunResult] | Held]:
    """What `execute_jointly` gives. Errors: RunError, one line, where the runs failed."""
    try:
        return execute_jointly(configs, wait)
    except (ConfigError, DataError, RunError):
        raise
    except Exception as error:
        path = RunDirectory(configs[0]).path
        kept = "traceback" in (read_json(path / "run.json") or {})
        first, others = configs[0].run_id, f" and {len(configs) - 1} jobs that are computed with it"
        who = first + (others if len(configs) > 1 else "")
        raise RunError(failed(who, f"{type(error).__name__}: {error}", path if kept else None)) from error


def told(results: Sequence[RunResult], *, table: bool = False, quiet: bool = False) -> None:
    from lookahead_bench.report.summary import tell

    if not quiet:
        tell(results, table=table)


def own_overrides(job: Iterable[str]) -> Job:
    """Those of a job that are not for Hydra alone."""
    own = (o for o in job if o.startswith("hydra.searchpath=") or not o.startswith(("hydra.", "hydra/")))
    return tuple(dict.fromkeys(own))


class Doer:
    """One job of a sweep, as Hydra calls it; gives the headline score, which optimising sweepers want.

    None where it was passed over, nan where it has failed. Where it is followed from another process, it says nothing
    itself: a reason is given as text, and a signal as what it would have raised. To a sweeper that decides as it goes
    the failure is raised: it is to record it, and a nan is none of its values.

    planned: the configurations of the jobs, where they are known; in another process a job composes its own.
    since: a run that has failed after this moment is not tried again. wait: for a run that another process holds,
    instead of passing it over. quiet: no line about it.
    """

    def __init__(
        self,
        planned: dict[Job, Config],
        *,
        since: int = sys.maxsize,
        followed: bool = False,
        wait: bool = False,
        quiet: bool = False,
    ) -> None:
        self.planned, self.since, self.followed, self.wait, self.quiet = planned, since, followed, wait, quiet
        self.elsewhere = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"planned": {}, "elsewhere": True}

    def __call__(self, composed: Any) -> End:
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        try:
            config = self.config((*hydra.overrides.hydra, *hydra.overrides.task))
        except ConfigError as error:  # of a sweeper that decides as it goes
            complain(error)
            raise
        return self.jointly([config], optimises=hydra.runtime.choices["hydra/sweeper"] != "basic")[0]

    def config(self, job: Iterable[str]) -> Config:
        """The configuration of a job, of whose overrides some may be Hydra's own."""
        overrides = own_overrides(job)
        return self.planned.get(overrides) or configuration.load(overrides)

    def jointly(self, configs: Sequence[Config], *, optimises: bool) -> list[End]:
        """Do jobs that are one program, or one alone; optimises: a sweeper does, and must know of what has failed.

        Those of which another sweep has failed are told so by themselves, and the others are a program without them.
        """
        failed = [i for i, config in enumerate(configs) if self.failure(config) is not None]
        groups = [[i] for i in failed] + [[i for i in range(len(configs)) if i not in failed]]
        ends: dict[int, End] = {}
        for group in filter(None, groups):
            ends |= zip(group, self._jointly([configs[i] for i in group], optimises=optimises), strict=True)
        return [ends[i] for i in range(len(configs))]

    def failure(self, config: Config) -> str | None:
        """Why a run of this job has failed since the sweep began, if one has."""
        return failure([RunDirectory(one) for one in config.seeds()], self.since)

    def _jointly(self, configs: Sequence[Config], *, optimises: bool) -> list[End]:
        listen()
        if self.elsewhere:
            be_a_worker()
            if (number := stopped_between_runs()) is not None:
                return self.interrupted(InterruptedBySignal("the sweep", number), configs)
        try:
            if (reason := self.failure(configs[0])) is not None:
                raise RunError(reason)  # by another sweep
            ends = do_jointly(configs, wait=self.wait)
        except (ConfigError, DataError, RunError) as error:
            if self.followed:
                return [str(error)] * len(configs)
            complain(error)
            if optimises:
                raise
            return [math.nan] * len(configs)  # the others go on; the sweep counts these as failed
        except InterruptedBySignal as interrupted:
            return self.interrupted(interrupted, configs)
        for results in ends:
            if not isinstance(results, Held):
                told(results, quiet=self.quiet or self.followed)
        for results in ends:
            if not isinstance(results, Held) and results[0].signal is not None:  # it was meant for the sweep as well
                return self.interrupted(InterruptedBySignal(results[0].run_id, results[0].signal), configs)
        # One that is held is looked at again at the end.
        return [None if isinstance(results, Held) else float(results[0].value) for results in ends]

    def interrupted(self, error: InterruptedBySignal, configs: Sequence[Config]) -> list[End]:
        """Give it for every job, or raise it. Only a worker that lives on to see its others stopped can give it."""
        if self.elsewhere and self.followed and stopped_between_runs() is not None:
            return [error] * len(configs)
        raise error

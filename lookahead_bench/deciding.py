"""A sweep whose sweeper decides as it goes, such as Optuna's: nobody knows its jobs beforehand. No torch."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus

from lookahead_bench import configuration
from lookahead_bench.configuration.compose import PRIMARY, Loader, hydra_main, loader
from lookahead_bench.configuration.messages import COMPOSING, translate
from lookahead_bench.doing import Doer, own_overrides
from lookahead_bench.errors import ConfigError
from lookahead_bench.notices import complain
from lookahead_bench.runs.store import RunDirectory, status_of


def sweep(overrides: Sequence[str]) -> Counter[str]:
    """Do what the sweeper asks for; gives how many runs ended how. A job that it may not ask for is `refused`.

    Every failure is told at once, and raised to the sweeper, which records it. Errors: ConfigError.
    """
    for talkative in ("hydra_plugins", "optuna.study.study"):  # what they tell has been told, or is no notice
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    composing, ends = loader(), list[JobReturn]()
    try:
        with watched(ends):
            hydra_main(composing).multirun(PRIMARY, Doer({}, wait=True), list(overrides), with_log_configuration=False)
    except COMPOSING as error:
        raise translate(error, overrides) from None
    except ValueError:  # Optuna's, which has no best trial then
        if not ends or any(end.status == JobStatus.COMPLETED for end in ends):
            raise
        complain("no job of the sweep has a score")
    statuses: dict[str, str] = {}  # a sweeper may ask for a run twice
    for end in ends:
        statuses |= outcomes(end, composing)
    return Counter(statuses.values())


@contextlib.contextmanager
def watched(ends: list[JobReturn]) -> Iterator[None]:
    """Within, what any launcher gives to its sweeper is in `ends` too; where the two keep each other is their own."""
    plugins = Plugins.instance()
    instantiate = plugins.instantiate_launcher

    def listening(**parts: Any) -> Any:
        launcher = instantiate(**parts)
        launch = launcher.launch

        def launch_and_tell(*jobs: Any, **more: Any) -> Sequence[JobReturn]:
            done = launch(*jobs, **more)
            ends.extend(done)
            return [Silent(**vars(end)) if end.status == JobStatus.FAILED else end for end in done]

        launcher.launch = launch_and_tell  # type: ignore[method-assign]  # of this one launcher only
        return launcher

    plugins.instantiate_launcher = listening  # type: ignore[method-assign, assignment]  # sweepers ask it alone
    try:
        yield
    finally:
        plugins.instantiate_launcher = instantiate  # type: ignore[method-assign]  # as it was


class Silent(JobReturn):
    """A failed job: Hydra's own writes a line about it whenever it is looked at."""

    @property  # type: ignore[misc]  # mypy wants the setter of the base's too
    def return_value(self) -> Any:
        raise self._return_value


def outcomes(end: JobReturn, composing: Loader) -> dict[str, str]:
    """The runs of a job, and what the files say of each."""
    given = end.hydra_cfg.hydra.overrides  # type: ignore[union-attr]  # a job that has ended has it
    job = own_overrides([*given.hydra, *given.task])
    try:
        places = [RunDirectory(one).path for one in configuration.load(job, composing).seeds()]
    except ConfigError:
        return {" ".join(job): "refused"}
    return {str(path): status_of(path) if (path / "run.json").exists() else "failed" for path in places}

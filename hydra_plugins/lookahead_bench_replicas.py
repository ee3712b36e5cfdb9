"""`hydra/launcher=replicas`: the jobs of a sweep that one batched program can compute are one. Imports no torch.

It stands here because Hydra takes launchers from the namespace package `hydra_plugins` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from lookahead_bench.doing import Doer, End


class ReplicasLauncher(Launcher):
    """Hands all jobs to the one who does them. most: runs of one program, an integer >= 1."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.doer: Doer
        self.config: Any

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.doer, self.config = task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from lookahead_bench.configuration.joint import batches

        hydra = self.config.hydra
        Path(hydra.sweep.dir).mkdir(parents=True, exist_ok=True)  # sweepers leave files there
        configs = [self.doer.config((*hydra.overrides.hydra, *overrides)) for overrides in job_overrides]
        ends: dict[int, End] = {}
        for batch in batches(configs, self.most):
            optimises = hydra.runtime.choices["hydra/sweeper"] != "basic"
            ends |= zip(batch, self.doer.jointly([configs[i] for i in batch], optimises=optimises), strict=True)
        return [ended(overrides, ends[i]) for i, overrides in enumerate(job_overrides)]


def ended(overrides: Sequence[str], value: End) -> JobReturn:
    job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job.return_value = value
    return job

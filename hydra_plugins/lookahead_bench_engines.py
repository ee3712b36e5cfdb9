"""`hydra/launcher=joblib` and `=slurm`: Hydra's launchers, and what `lookahead_bench.engines` adds to them.

They stand here because Hydra takes launchers from the namespace package `hydra_plugins` only, and imports all of it at
every start: whatever takes time is imported by `launch`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn

try:
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
except ImportError:  # the extra is not installed, and whoever chooses it is told so
    JoblibLauncher = object
try:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
except ImportError:
    SlurmLauncher = object


class Joblib(JoblibLauncher):
    """joblib, which a signal ends in good order."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from lookahead_bench.engines.workers import signals_passed_on

        with signals_passed_on(self.task_function):
            return super().launch(job_overrides, initial_job_idx)


class Slurm(SlurmLauncher):
    """submitit on SLURM, which gives a result for every job, whatever becomes of the others."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from lookahead_bench.engines.slurm import launch

        return launch(self, self.params, job_overrides, initial_job_idx)

"""A sweep as arrays of SLURM, with a result for every job, whatever becomes of the others."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from omegaconf import OmegaConf
from submitit.core.utils import FailedJobError

from lookahead_bench.notices import complain

ARRAY = 1000  # jobs of one array: SLURM's own limit, unless the cluster has set another
LOOK_EVERY = 1.0  # seconds, at the files of results
ASK_EVERY = 5.0  # seconds, which jobs are in the queue: a question to the scheduler


def launch(
    launcher: Any, settings: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Submit arrays and wait for all of their jobs. What a job raises, or that it was lost, is its result, as a text.

    The plugin by itself ends with the first job that fails, and asks `sacct`, which not every cluster has, for those
    that are lost. A job that is signalled or requeued is none of these: submitit and the run's checkpoints see to it.
    """
    jobs: list[Any] = []
    try:
        for start in range(0, len(job_overrides), ARRAY):
            jobs += submit(launcher, settings, job_overrides[start : start + ARRAY], first + start)
        return wait_for(jobs)
    except KeyboardInterrupt:
        arrays = " ".join(dict.fromkeys(str(job.job_id).split("_")[0] for job in jobs))
        if arrays:
            complain(f"the jobs of SLURM go on; scancel {arrays} ends them, and the same command follows them")
        raise


def submit(
    launcher: Any, settings: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> Sequence[Any]:
    """One array; SLURM calls the launcher for every job of it."""
    given = {key: value for key, value in settings.items() if value is not None}
    executor = submitit.AutoExecutor(
        given.pop("submitit_folder"), cluster="slurm", slurm_max_num_timeout=given.pop("max_num_timeout")
    )
    shared = OmegaConf.structured(BaseQueueConf)  # these have one name for all of submitit's executors
    executor.update_parameters(**{key if key in shared else f"slurm_{key}": value for key, value in given.items()})
    state = Singleton.get_state()
    calls = [
        (list(job), "hydra.sweep.dir", first + i, f"job_id_for_{first + i}", state)
        for i, job in enumerate(job_overrides)
    ]
    arrays: Sequence[Any] = executor.map_array(launcher, *zip(*calls, strict=True))
    return arrays


def wait_for(jobs: Sequence[Any]) -> list[JobReturn]:
    """What every job came to, in order."""
    ends: dict[int, JobReturn] = {}
    absent: Counter[int] = Counter()
    asked = time.monotonic()
    while len(ends) < len(jobs):
        time.sleep(LOOK_EVERY)
        queued = None
        if time.monotonic() - asked > ASK_EVERY:
            queued, asked = in_queue(), time.monotonic()
        for i, job in enumerate(jobs):
            if i in ends:
                continue
            if job.paths.result_pickle.exists():
                ends[i] = end_of(job)
            elif queued is not None and job.job_id not in queued:
                absent[i] += 1
                if absent[i] > 2:  # the file of its result may be seen here later than the end of the job
                    ends[i] = told(f"SLURM job {job.job_id} ended without a result; its log is {job.paths.stderr}")
    return [ends[i] for i in range(len(jobs))]


def end_of(job: Any) -> JobReturn:
    try:
        end: JobReturn = job.result()
        return end
    except FailedJobError:
        return told(f"SLURM job {job.job_id} failed; its log is {job.paths.stderr}")


def told(reason: str) -> JobReturn:
    """The end of a job that has not ended by itself."""
    end = JobReturn(status=JobStatus.COMPLETED)
    end.return_value = reason
    return end


def in_queue() -> set[str] | None:
    """The ids of this user's jobs that wait or run, or are about to again; None where SLURM does not answer."""
    asked = subprocess.run(
        ["squeue", "--me", "--noheader", "--array", "--format=%i"], capture_output=True, text=True, check=False
    )
    return set(asked.stdout.split()) if asked.returncode == 0 else None

"""Sweeps under every engine: killed, requeued or shared by several commands, they end with the same table."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from test_lock import slowly
from test_soak import table
from tiny_runs import DIGITS, ask, need, start, steps_saved, wait_for

from lookahead_bench import configuration, load_results
from lookahead_bench.cli import command
from lookahead_bench.runs.files import json_bytes
from lookahead_bench.runs.store import RunDirectory, status_of

pytestmark = pytest.mark.fault("engines")

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
RAY = ["hydra/launcher=ray"]
SLURM = ["hydra/launcher=slurm"]


def sweep(overrides: Sequence[str], results: Path, **environment: str) -> subprocess.Popen[str]:
    """The command, the leader of a process group of its own; its runs checkpoint after every step."""
    return subprocess.Popen(
        [sys.executable, "-m", "lookahead_bench", "-m", *overrides, f"results_dir={results}"],
        env=os.environ
        | {"LOOKAHEAD_BENCH_CHECKPOINT_SECONDS": "0", "PYTHONPATH": str(Path(__file__).parent)}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(results: Path) -> int:
    return sum(status_of(path) == "done" for path in results.glob("runs/*") if (path / "run.json").exists())


def killed(overrides: Sequence[str], results: Path, runs: int, kills: int, between: Callable[[], object]) -> str:
    """Kill the whole process group, at so many moments, and let the last command end; gives what that one said."""
    chance = random.Random(7)
    for moment in sorted(chance.sample(range(runs - 2), kills)):
        process = sweep(overrides, results)
        wait_for(lambda m=moment, p=process: finished(results) >= m or p.poll() is not None, 3600)
        between()
        time.sleep(chance.uniform(0.0, 2.0))
        os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), said
    out, err = sweep(overrides, results).communicate()
    assert all("waiting for it" in line for line in err.splitlines()), err  # for jobs that outlived their sweep
    assert out.splitlines()[-1] == f"{runs} runs: {runs} done"
    return out


@pytest.mark.long
def test_joblib_is_killed_goes_on_and_tells_of_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 of the whole group once all have begun; then the same command ends as an undisturbed one does."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    targets = "optimizer.base._target_=torch.optim.SGD,fault_optimizers.Raises"
    overrides = ["seed=1,2", targets, "optimizer=sgd", *DIGITS]
    process = sweep([*overrides, *JOBLIB], tmp_path / "killed")
    wait_for(lambda: steps_saved(tmp_path / "killed") > 5, 300)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    process = sweep([*overrides, *JOBLIB], tmp_path / "killed")
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.splitlines()[-1] == "4 runs: 2 done, 2 failed"
    assert len(out.splitlines()) == 3
    torn = " is damaged; going back to the checkpoint before it"  # by the kill
    told = [line for line in err.splitlines() if not line.endswith(torn)]
    assert len(told) == 2, err
    assert all("the fifth step has failed" in line for line in told)
    assert command(["-m", *overrides, f"results_dir={tmp_path}/calm"]) == 1
    assert table(tmp_path / "killed") == table(tmp_path / "calm")


def test_three_commands_share_a_sweep_and_do_no_run_twice(tmp_path: Path) -> None:
    overrides = ["-m", "optimizer=sgd,lookahead", "seed=1,2,3", *DIGITS, f"results_dir={tmp_path}/results"]
    processes = [start(overrides, tmp_path / f"output{i}", prepare=partial(slowly, 0.01)) for i in range(3)]
    for process in processes:
        process.join(120)
    outputs = [(tmp_path / f"output{i}").read_text().splitlines() for i in range(3)]
    assert [process.exitcode for process in processes] == [0] * 3, outputs
    assert all(lines[-1] == "6 runs: 6 done" for lines in outputs)
    told = [line for lines in outputs for line in lines if "done best" in line]
    assert len(told) == 3 * 6
    assert len([line for line in told if "(skipped)" not in line]) == 6, outputs
    assert command(["-m", *overrides[1:-1], f"results_dir={tmp_path}/calm"]) == 0
    assert table(tmp_path / "results") == table(tmp_path / "calm")


def test_what_fails_in_another_sweep_is_told_and_not_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["optimizer=sgd", *DIGITS, f"results_dir={tmp_path}"]
    held, other = (RunDirectory(configuration.load([*overrides, f"seed={seed}"])) for seed in (1, 2))
    held.acquire()

    def fail() -> None:
        wait_for(other.finished)
        (held.path / "run.json").write_bytes(json_bytes({"status": "failed", "error": "it was not to be"}))
        held.lock.release()

    holder = threading.Thread(target=fail)
    holder.start()
    assert command(["-m", "seed=1,2", *overrides]) == 1
    holder.join()
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "2 runs: 1 done, 1 failed"
    assert err.splitlines()[-1] == "lookahead-bench: it was not to be"
    assert not held.metrics_path.exists()


TABLE = ["optimizer=sgd,lookahead,la_eg", *DIGITS]


@pytest.mark.long
@pytest.mark.parametrize("engine", [[], JOBLIB], ids=["basic", "joblib"])
def test_killed_five_times(engine: list[str], tmp_path: Path, survived: Callable[[int], None]) -> None:
    overrides = ["seed=1,2,3,4,5,6,7,8", *TABLE]
    killed([*overrides, *engine], tmp_path / "killed", runs=24, kills=5, between=lambda: None)
    assert command(["-m", *overrides, f"results_dir={tmp_path}/calm"]) == 0
    assert table(tmp_path / "killed") == table(tmp_path / "calm")
    survived(5)


@pytest.mark.long
def test_a_signal_to_the_sweep_has_its_workers_save_and_ends_them(tmp_path: Path) -> None:
    process = sweep(["seed=1,2,3,4", *DIGITS, "max_steps=100000", "optimizer=sgd", *JOBLIB], tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("runs/*/checkpoints/step-*.pt"))) > 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert err.splitlines() == ["lookahead-bench: the sweep: interrupted by SIGTERM; the same command resumes it"]
    records = load_results(tmp_path)
    assert set(records["status"]) == {"interrupted"}
    assert records["run_id"].nunique() == 2  # those that had been begun


# -------------------------------------------------------------------------------------------------------------- SLURM


@pytest.fixture
def slurm(tmp_path: Path) -> Path:
    """A results directory for jobs of SLURM, which are gone when the test is over; skipped where there is none."""
    need("slurm")
    return tmp_path / "slurm"


def running(results: Path) -> list[str]:
    """The jobs of this sweep that run now."""
    ours = {path.name for path in results.glob("multirun/.submitit/*")}
    every = ask("squeue", "--me", "--noheader", "--array", "--states=R", "--format=%i").split()
    return [job for job in every if job in ours]


def requeue(results: Path) -> None:
    """Have SLURM stop one of the jobs that run, and queue it again."""
    for job in running(results)[:1]:
        subprocess.run(["scontrol", "requeue", job], check=False)


def slurm_is_killed_and_requeued(results: Path, seeds: int, kills: int) -> None:
    overrides = [f"seed={','.join(map(str, range(1, seeds + 1)))}", *TABLE]
    killed([*overrides, *SLURM], results, runs=3 * seeds, kills=kills, between=partial(requeue, results))
    assert command(["-m", *overrides, f"results_dir={results}-calm"]) == 0
    assert table(results) == table(results.with_name(f"{results.name}-calm"))


@pytest.mark.long
def test_slurm_jobs_are_requeued_and_their_sweep_killed(slurm: Path, survived: Callable[[int], None]) -> None:
    slurm_is_killed_and_requeued(slurm, seeds=2, kills=2)
    survived(4)


@pytest.mark.long
def test_a_requeued_job_goes_on_from_its_checkpoint(slurm: Path) -> None:
    process = sweep(["seed=1", "optimizer=sgd", *DIGITS, "max_steps=400", *SLURM], slurm)
    wait_for(lambda: steps_saved(slurm) > 20, 300)
    requeue(slurm)
    wait_for(lambda: "interrupted" in [status_of(path) for path in slurm.glob("runs/*")], 60)
    saved = steps_saved(slurm)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert saved > 20
    assert command(["-m", "seed=1", "optimizer=sgd", *DIGITS, "max_steps=400", f"results_dir={slurm}-calm"]) == 0
    assert table(slurm) == table(slurm.with_name(f"{slurm.name}-calm"))


@pytest.mark.long
def test_a_failed_and_a_killed_job_are_told_of(slurm: Path) -> None:
    targets = "optimizer.base._target_=torch.optim.SGD,fault_optimizers.Raises,fault_optimizers.Dies"
    process = sweep([targets, "optimizer=sgd", *DIGITS, *SLURM], slurm)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.splitlines()[-1] == "3 runs: 1 done, 1 failed, 1 interrupted"
    assert sum("the fifth step has failed" in line for line in err.splitlines()) == 1, err
    assert sum("ended without a result; its log is" in line for line in err.splitlines()) == 1, err


# ---------------------------------------------------------------------------------------------------------------- Ray


@pytest.mark.long
def test_ray_gives_the_same_numbers_and_tells_of_what_fails(tmp_path: Path) -> None:
    need("ray")
    targets = "optimizer.base._target_=torch.optim.SGD,fault_optimizers.Raises"
    overrides = ["seed=1,2", targets, "optimizer=sgd", *DIGITS]
    process = sweep([*overrides, *RAY], tmp_path / "ray")
    out, err = process.communicate()
    assert process.returncode == 1, err
    assert out.splitlines()[-1] == "4 runs: 2 done, 2 failed"
    lines = [line for line in err.splitlines() if line.startswith("lookahead-bench:")]
    assert len(lines) == 2
    assert all("the fifth step has failed" in line for line in lines)
    assert command(["-m", *overrides, f"results_dir={tmp_path}/calm"]) == 1
    assert table(tmp_path / "ray") == table(tmp_path / "calm")

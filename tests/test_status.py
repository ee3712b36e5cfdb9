"""`lookahead-bench status` tells what every run is doing, from the files alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tiny_runs import DIGITS, kill, start, wait_for

from lookahead_bench import configuration
from lookahead_bench.cli import command
from lookahead_bench.report import status
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.store import RunDirectory


@pytest.fixture(autouse=True)
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "faults")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "faults"))


def test_what_every_run_is_doing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"results_dir={tmp_path}"
    base = ["optimizer=sgd", *DIGITS, place]
    assert command(["-m", "optimizer.lr=0.1,1e30", *base]) == 0
    assert command(["seed=2", *base, "optimizer.base._target_=fault_optimizers.Raises"]) == 1
    held = RunDirectory(configuration.load(["seed=5", *base]))
    held.acquire()
    sleeping = start(["seed=3", *base, "optimizer.base._target_=fault_optimizers.Sleeps"], tmp_path / "output")
    wait_for(lambda: any("-s3-" in str(p) for p in tmp_path.glob("runs/*/checkpoints/step-0000000004.pt")))
    capsys.readouterr()
    assert command(["status", place]) == 0
    lines = {match[1]: line for line in capsys.readouterr().out.splitlines() if (match := re.search(r"-s(\d)-", line))}
    assert "failed" in lines["2"]
    assert "RuntimeError: the fifth step" in lines["2"]
    assert re.search(rf"running +3% +\S.* pid {sleeping.pid} on {os.uname().nodename}", lines["3"])
    assert re.search(rf"held +0% +pid {os.getpid()} on", lines["5"])
    held.lock.release()
    kill(sleeping, tmp_path)
    assert command(["status", place]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.strip() == "1 diverged, 1 done, 1 failed, 1 interrupted"


def test_of_many_runs_those_with_a_result_are_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"results_dir={tmp_path}"
    settings = ["dataset=quadratic_game", "max_steps=2", "tracker=none", place]
    assert command(["-m", "optimizer=sgd,la_gda", "seed=1,2,3", *settings]) == 0
    monkeypatch.setattr(status, "LINES", 5)
    capsys.readouterr()
    assert command(["status", place]) == 0
    out = capsys.readouterr().out
    assert "quadratic_game-la_gda x 3" in out
    assert "-s1-" not in out
    assert out.splitlines()[-1].strip() == "6 done"


def test_a_failed_run_goes_on_and_is_begun_anew_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command takes it up at its last checkpoint, `force=failed` at its start; others are passed over."""
    monkeypatch.setenv("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "0")
    sweep = ["-m", "optimizer.base._target_=torch.optim.SGD,fault_optimizers.Raises", "optimizer=sgd", *DIGITS,
             f"results_dir={tmp_path}"]  # fmt: skip

    def failed_at(*more: str) -> int:
        assert command([*sweep, *more]) == 1
        records = [read_json(path) for path in tmp_path.glob("runs/*/run.json")]
        (step,) = [record["step"] for record in records if record and record["status"] == "failed"]
        return int(step)

    assert failed_at() == 4
    assert failed_at() == 8
    capsys.readouterr()
    assert failed_at("force=failed") == 4
    assert capsys.readouterr().out.count("(skipped)") == 1

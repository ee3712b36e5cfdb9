"""Runs that fail, diverge, or meet a full disk: the truth in run.json, one line, and the right exit status."""

from __future__ import annotations

import resource
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny_runs import DIGITS, assert_same_run, final_state, kill, rows, start, steps_saved, tensors, wait_for

from lookahead_bench import configuration, load_results, run
from lookahead_bench.cli import command
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.run import execute

pytestmark = pytest.mark.fault("numbers")

RAISES = ["optimizer=sgd", "optimizer.base._target_=fault_optimizers.Raises", *DIGITS]


def test_a_failed_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([*RAISES, f"results_dir={tmp_path}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "RuntimeError: the fifth step has failed" in line
    (path,) = tmp_path.glob("runs/*/run.json")
    assert str(path) in line
    record = read_json(path)
    assert record is not None
    assert (record["status"], record["step"]) == ("failed", 4)
    assert record["error"] == "RuntimeError: the fifth step\nhas failed"
    assert "in step" in record["traceback"]
    assert set(load_results(tmp_path)["status"]) == {"failed"}
    assert command([*RAISES, f"results_dir={tmp_path}"]) == 1  # a failure is not a result: it is tried again


def test_an_optimizer_that_cannot_be_built_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["optimizer.base._target_=fault_optimizers.Refuses", *DIGITS, f"results_dir={tmp_path}"]
    for sweep in ([], ["-m", "optimizer=adam,sgd"]):
        assert command([*sweep, *overrides]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "no two are alike" in line
    assert not list(tmp_path.iterdir())


DIVERGING = {
    "sgd": "optimizer.lr=1e30", "lookahead": "optimizer.lr=1e30", "rapp": "optimizer.lr=1e30",
    "multilayer": "optimizer.lr=1e20", "past_extragradient": "optimizer.lr=1e30", "polyak": "optimizer.lr=1e25",
    "extra_adam": "optimizer.lr=1e30",
}  # fmt: skip


@pytest.mark.parametrize("optimizer", DIVERGING)
def test_a_diverged_run_is_a_result(optimizer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [f"optimizer={optimizer}", DIVERGING[optimizer], *DIGITS, f"results_dir={tmp_path}"]
    assert command(overrides) == 0
    assert "diverged" in capsys.readouterr().out
    result = run(overrides)
    assert (result.status, result.skipped) == ("diverged", True)
    last = [row for row in rows(result.path) if row["split"] == "train"][-1]
    assert last["step"] == result.record["step"]
    assert final_state(result.path)["step"] == last["step"] - 1  # the step that failed is not taken
    for tensor in tensors([final_state(result.path)[part] for part in ("task", "optimizer")]):
        assert bool(torch.isfinite(tensor.float()).all())
    final = [row for row in rows(result.path)[-4:] if row["step"] == last["step"] - 1 and row["split"] != "train"]
    assert {row["split"] for row in final} == {"val", "test"}


LAST = [*DIGITS, "optimizer.lr=1e20", "max_steps=1"]  # this step is taken: its own loss and gradient are finite


@pytest.mark.parametrize(
    "optimizer", [["optimizer=sgd"], ["optimizer=lookahead", "optimizer.k=1", "optimizer.alpha=1"]]
)
def test_a_score_that_is_not_finite_after_the_last_step_is_no_success(optimizer: list[str], tmp_path: Path) -> None:
    overrides = [*optimizer, *LAST, f"results_dir={tmp_path}"]
    result = run(overrides)
    assert [list(kinds.values())[-1]["loss"] for kinds in result.final.values()] == ["inf", "inf"]
    assert (result.status, result.record["step"]) == ("diverged", 1)
    assert run(overrides).skipped
    assert {one.status for one in execute(configuration.load([*overrides, "seed=2", "replicas=2"]))} == {"diverged"}


def test_what_is_not_finite_in_the_fast_weights_alone_is_no_divergence(tmp_path: Path) -> None:
    result = run(["optimizer=lookahead", "optimizer.k=5", *LAST, f"results_dir={tmp_path}"])
    assert (result.final["test"]["fast"]["loss"], result.status) == ("inf", "done")  # the slow ones have not moved yet


@pytest.mark.control
def test_non_finite_numbers_are_words(tmp_path: Path) -> None:
    result = run(["optimizer=sgd", "optimizer.lr=1e30", *DIGITS, f"results_dir={tmp_path}"])
    text = (result.path / "metrics.jsonl").read_text() + (result.path / "run.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    words = {value for row in rows(result.path) for key, value in row.items() if key in ("loss", "accuracy")}
    assert words & {"nan", "inf"}
    assert load_results(tmp_path)["loss"].dtype == float


def limit_file_size(limit: int) -> None:
    """Writing more than `limit` bytes into one file fails from now on, as it does on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.fault("disk and streams")
@pytest.mark.parametrize("limit", [5000, 600])  # too little for a checkpoint; too little for run.json
def test_a_full_disk_leaves_the_old_files_intact(limit: int, tmp_path: Path) -> None:
    overrides = ["optimizer=lookahead_adam", *DIGITS]
    stopped = [*overrides, f"results_dir={tmp_path}/stopped"]
    process = start(stopped, tmp_path / "output")
    wait_for(lambda: steps_saved(tmp_path / "stopped") > 3)
    kill(process, tmp_path / "stopped")
    (directory,) = (tmp_path / "stopped").glob("runs/*")
    for path in checkpoint.generations(directory / "checkpoints"):
        if checkpoint.load(path) is None:  # it was killed while it wrote this one, of which the next life would tell
            path.unlink()
    sound = checkpoint.generations(directory / "checkpoints")
    process = start(stopped, tmp_path / "output", prepare=partial(limit_file_size, limit))
    process.join(60)
    (line,) = (tmp_path / "output").read_text().splitlines()
    assert process.exitcode == 1, line
    assert "File too large" in line
    assert sound
    assert all(checkpoint.load(path) for path in sound)
    assert read_json(directory / "run.json")["status"] == ("failed" if limit == 5000 else "running")  # type: ignore[index]
    assert not list(directory.rglob(".*.part"))
    assert_same_run(run([*overrides, f"results_dir={tmp_path}/whole"]), run(stopped))


@pytest.mark.fault("disk and streams")
@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null"])
def test_a_place_where_nothing_can_be_written(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([*DIGITS, f"results_dir={place}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"results_dir={place}: cannot be written" in line

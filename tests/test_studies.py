"""A study knows its runs, what each is doing and what is missing; its name is kept with its runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tiny_runs import DIGITS, wait_for

from lookahead_bench import configuration, load_results, run
from lookahead_bench.cli import command
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.studies import Study

STUDY = """
# @package _global_
# Two optimizers on a quadratic game
defaults:
  - override /dataset: quadratic_game
max_steps: 5
hydra: {sweeper: {params: {optimizer: "sgd,la_gda", seed: "1,2"}}}
"""


@pytest.fixture
def conf(tmp_path: Path) -> str:
    for part in ("one", "two"):
        path = tmp_path / "conf" / "experiment" / "mine" / f"{part}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUDY.replace("max_steps: 5", "max_steps: 6") if part == "two" else STUDY)
    return f"{tmp_path}/conf"


def sweep(*overrides: str) -> Study:
    study = Study.of(["dataset=quadratic_game", "max_steps=5", "tracker=none", *overrides])
    assert study is not None
    return study


def test_it_plans_does_what_is_missing_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = sweep("optimizer=sgd,la_gda", "seed=1,2", f"results_dir={tmp_path}")
    assert len(list(small.runs())) == len(small.missing()) == 4
    assert small.run(quiet=True) == {"done": 4}
    assert small.missing() == []
    grown = sweep("optimizer=sgd,la_gda", "seed=1,2,3", f"results_dir={tmp_path}")
    assert [one["seed"] for one in grown.missing_runs()] == [3, 3]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/metrics.jsonl")}
    assert grown.run(quiet=True) == {"done": 6}
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert capsys.readouterr().out == ""


def test_a_name_is_kept_with_the_runs_and_is_no_part_of_their_identity(
    conf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"results_dir={tmp_path}/results"
    single = run(["dataset=quadratic_game", "optimizer=sgd", "max_steps=5", "tracker=none", place])
    assert read_json(single.path / "run.json")["studies"] == []  # type: ignore[index]
    for part in ("one", "two"):
        study = ["--config-dir", conf, "-m", f"experiment=mine/{part}", "tracker=none", place]
        assert command(study) == 0
        assert "4 runs: 4 done" in capsys.readouterr().out
    assert read_json(single.path / "run.json")["studies"] == ["mine/one"]  # type: ignore[index]
    assert run(["dataset=quadratic_game", "optimizer=sgd", "max_steps=5", "study=other", place]).skipped
    assert read_json(single.path / "run.json")["studies"] == ["mine/one", "other"]  # type: ignore[index]
    assert load_results(tmp_path / "results", study="mine/one")["run_id"].nunique() == 4
    assert load_results(tmp_path / "results", study="mine")["run_id"].nunique() == 8
    assert command(["status", "other", place]) == 0
    assert capsys.readouterr().out.splitlines()[-1].strip() == "1 done"
    assert command(["report", "mine/two", place]) == 0
    assert "la_gda" in capsys.readouterr().out
    assert command(["report", "nothing", place]) == 1
    assert "has no runs of study nothing" in capsys.readouterr().err


def test_status_of_an_experiment_counts_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"results_dir={tmp_path}"
    assert command(["status", "theory/vi_gan", place]) == 0
    assert capsys.readouterr().out.splitlines()[-1].strip() == "6 missing"
    assert command(["-m", "experiment=theory/vi_gan/averaging", "tracker=none", place]) == 0
    capsys.readouterr()
    assert command(["status", "theory/vi_gan", place]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "done" in last
    assert "missing" in last


def test_a_run_that_somebody_else_holds_is_passed_over_and_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The held one is told last, after the others, and is no failure."""
    overrides = ["optimizer=sgd", *DIGITS, f"results_dir={tmp_path}"]
    held, other = (RunDirectory(configuration.load([*overrides, f"seed={seed}"])) for seed in (1, 2))
    held.acquire()

    def let_go() -> None:
        wait_for(other.finished)
        time.sleep(1.5)  # the sweep is at the held one now
        held.lock.release()

    holder = threading.Thread(target=let_go)
    holder.start()
    assert command(["-m", "seed=1,2", *overrides]) == 0
    holder.join()
    out, err = capsys.readouterr()
    assert [line[:13] for line in out.splitlines()[:2]] == ["digits-sgd-s2", "digits-sgd-s1"]
    assert out.splitlines()[-1] == "2 runs: 2 done"
    assert len(err.splitlines()) == 1, err
    line = err.strip()
    assert "is held by" in line
    assert "waiting for it" in line

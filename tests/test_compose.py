"""Choices and values: who wins, and that a sweep's jobs are the single runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookahead_bench.configuration import every_job, load
from lookahead_bench.configuration.compose import jobs

TASK = """
name: mine
about:
  description: quadratic of my own
  metric: expected_loss
  direction: min
  ranges: {dim: an integer >= 1}
  optimizer: {lr: 0.25, momentum: 0.0, weight_decay: 0.0}
  scales:
    smoke: {schedule: constant, precision: float64, max_steps: 5, dim: 3}
    cpu: {schedule: linear, precision: float64, max_steps: 10}
    paper: {schedule: linear, precision: float64, max_steps: 10}
_target_: lookahead_bench.tasks.quadratic.NoisyQuadratic
players: [model]
dim: 5
start: 1.0
spread: 0.0
"""
STUDY = """
# @package _global_
# A study of my own
defaults:
  - override /dataset: bilinear
dataset:
  dim: 7
  batch_size: 7
max_steps: 9
hydra:
  sweeper:
    params:
      optimizer: la_gda,sgd
      seed: range(1,4)
"""


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A directory of YAML files of the user's own, as an override."""
    for name, text in (("dataset/mine", TASK), ("experiment/paper/study", STUDY)):
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"hydra.searchpath=[file://{tmp_path}/conf]"


def test_the_scale_chooses_and_the_user_overrules() -> None:
    assert load(["dataset=cifar10"])["model"]["name"] == "resnet20"
    assert load(["dataset=cifar10", "scale=paper"])["model"]["name"] == "resnet18"
    assert load(["dataset=cifar10", "scale=paper", "model=cnn"])["model"]["name"] == "cnn"
    assert load(["dataset=cifar10", "scale=paper"])["dataset"]["val_size"] == 0
    assert load(["dataset=cifar10", "scale=paper", "dataset.val_size=10"])["dataset"]["val_size"] == 10
    assert load(["precision=float64"])["precision"] == "float64"


def test_one_budget_alone_replaces_the_tasks_own() -> None:
    config = load(["max_steps=7"])
    assert [config[key] for key in ("epochs", "max_steps", "max_oracle_calls")] == [None, 7, None]


def test_a_task_of_ones_own_has_its_scales_too(place: str) -> None:
    config = load([place, "dataset=mine", "scale=smoke"])
    assert (config["dataset"]["dim"], config["max_steps"], config["schedule"]["name"]) == (3, 5, "constant")
    assert load([place, "dataset=mine"])["dataset"]["dim"] == 5
    assert config["optimizer"]["lr"] == 0.25


def test_an_experiment_overrules_the_task_and_the_user_the_experiment(place: str) -> None:
    config = load([place, "experiment=paper/study"])
    assert (config["dataset"]["name"], config["dataset"]["dim"], config["max_steps"]) == ("bilinear", 7, 9)
    config = load([place, "experiment=paper/study", "dataset.dim=3", "dataset.batch_size=3", "max_steps=2"])
    assert (config["dataset"]["dim"], config["max_steps"]) == (3, 2)


def test_the_jobs_of_an_experiment_and_of_the_command_line(place: str) -> None:
    planned = jobs([place, "experiment=paper/study"])
    assert planned is not None
    assert len(planned) == 6
    assert len({one.run_id for one in every_job(planned)}) == 6
    fewer = jobs([place, "experiment=paper/study", "seed=5", "optimizer=sgd,adam"])
    assert fewer == [[place, f"optimizer={name}", "seed=5", "experiment=paper/study"] for name in ("sgd", "adam")]


def test_every_job_of_a_sweep_is_the_run_that_the_same_words_give() -> None:
    overrides = ["dataset=digits,bilinear", "scale=smoke", "seed=3,4", "++optimizer.lr=0.01"]
    planned = jobs(overrides)
    assert planned is not None
    single = [load([f"dataset={d}", "scale=smoke", f"seed={s}", "++optimizer.lr=0.01"]).run_id
              for d in ("digits", "bilinear") for s in (3, 4)]  # fmt: skip
    assert [one.run_id for one in every_job(planned)] == single


def test_replicas_of_a_sweep_are_runs_of_their_own() -> None:
    planned = jobs(["replicas=3", "optimizer=sgd,adam"])
    assert planned is not None
    assert len({one.run_id for job in every_job(planned) for one in job.seeds()}) == 6

"""Every YAML composes to a sound configuration; a run's identity covers what can change a number, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lookahead_bench.configuration.compose import CONF, jobs, options
from lookahead_bench.configuration import EXECUTION, load
from lookahead_bench.configuration.rules import BUDGETS, OPTIMIZER

OPTIMIZERS, DATASETS = options("optimizer"), options("dataset")


def run_id(*overrides: str) -> str:
    return load(list(overrides)).run_id


# ----------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_is_sound_and_has_its_keys_at_its_own_top_level(optimizer: str) -> None:
    dataset = DATASETS[OPTIMIZERS.index(optimizer) % len(DATASETS)]  # each with another one
    config = load([f"optimizer={optimizer}", f"dataset={dataset}", "optimizer.lr=0.0123"])
    assert (config["optimizer"]["name"], config["optimizer"]["lr"]) == (optimizer, 0.0123)
    assert config.run_id.startswith(f"{dataset}-{optimizer}-s1-")
    file = OmegaConf.load(CONF / "optimizer" / f"{optimizer}.yaml")
    assert all(file[key] for key in ("description", "equation", "source"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_a_budget_and_settings_of_its_own_at_every_scale(dataset: str) -> None:
    file = OmegaConf.load(CONF / "dataset" / f"{dataset}.yaml")
    tuned = list((CONF / "tuned").glob(f"{dataset}/**/lookahead.yaml"))
    for scale, entries in file.scales.items():
        config = load([f"dataset={dataset}", f"scale={scale}"])
        assert any(config[key] is not None for key in BUDGETS)
        for key, value in entries.items():
            found = (config if key in config.nodes else config["dataset"])[key]
            assert (found["name"] if isinstance(found, dict) else found) == value
        for key, value in file.optimizer.items():
            assert tuned or key not in OPTIMIZER or config["optimizer"].get(key, value) == value
    assert set(file.scales) == {"smoke", "cpu", "paper"}


TUNED = [p.relative_to(CONF / "tuned").with_suffix("") for p in sorted((CONF / "tuned").rglob("*.yaml"))]


@pytest.mark.parametrize("tuned", TUNED, ids=str)
def test_tuned_settings_are_defaults_below_the_command_line(tuned: Path) -> None:
    dataset, *scale, optimizer = tuned.parts
    chosen = [f"dataset={dataset}", f"optimizer={optimizer}", *(f"scale={s}" for s in scale)]
    values = OmegaConf.load((CONF / "tuned" / tuned).with_suffix(".yaml"))
    node, other = (load([*chosen, *more])["optimizer"] for more in ([], ["optimizer.lr=0.123"]))
    for key, value in values.items():
        assert node[key] == value
        assert other[key] == (0.123 if key == "lr" else value)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_plans_sound_runs(experiment: str) -> None:
    planned = jobs([f"experiment={experiment}"])
    assert planned
    assert load(planned[0]).run_id
    assert load(planned[-1]).run_id


# -------------------------------------------------------------------------------------------------------- the identity

NOT_PART = [
    "force=true", "replicas=5", "results_dir=elsewhere", "data_dir=elsewhere", "tracker.project=other", "tracker=wandb",
    "gpu=cpu", "gpu.threads=3", "gpu.compile=true", "gpu.channels_last=true", "gpu.fused=false", "gpu.device=cuda:3",
]  # fmt: skip
PART = [
    "seed=2", "epochs=3", "max_steps=3", "max_oracle_calls=3", "precision=float64", "resample=call", "clip_norm=1",
    "scale=paper", "model=cnn", "model.hidden=[3]", "schedule=cosine", "dataset.batch_size=32", "dataset.val_size=0",
    "dataset.augment=true", "dataset=bilinear", "optimizer=sgd", "optimizer.lr=0.2", "optimizer.k=6",
    "optimizer.alpha=0.4", "optimizer.momentum=0.8", "optimizer.weight_decay=0", "optimizer.pullback=reset",
    "optimizer.outer_momentum=0.1", "optimizer.base._target_=torch.optim.Adam", "+optimizer.base.nesterov=true",
    "optimizer.lr={model:0.1}",
]  # fmt: skip


def test_what_cannot_change_a_number_is_not_part() -> None:
    assert run_id(*NOT_PART) == run_id() == run_id("tracker=none")


def test_what_can_change_a_number_is_part() -> None:
    assert len({run_id(*override) for override in [[], *([one] for one in PART)]}) == len(PART) + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["optimizer.lr=1"], ["optimizer.lr=1.0"]),
        (["optimizer.lr=0.1"], ["optimizer.lr=1e-1"]),
        (["seed=3", "optimizer.lr=0.3", "optimizer=sgd"], ["optimizer=sgd", "optimizer.lr=0.3", "seed=3"]),
        (["optimizer=multilayer", "optimizer.alpha=0.5"], ["optimizer=multilayer", "optimizer.alpha=[0.5,0.5]"]),
        (["epochs=30"], []),  # the task's own budget, said aloud
        (["model=mlp", "schedule=constant", "dataset=digits", "scale=cpu"], []),
        (["model=null", "schedule=null", "experiment=null"], []),
        (["seed=1", "seed=2"], ["seed=2"]),
        (["dataset.epochs=7"], ["epochs=7"]),
    ],
    ids=str,
)
def test_the_same_run_written_in_two_ways(one: list[str], other: list[str]) -> None:
    assert run_id(*one) == run_id(*other)


def test_replicas_have_the_identities_of_the_single_runs() -> None:
    assert [one.run_id for one in load(["replicas=3", "seed=5"]).seeds()] == [run_id(f"seed={s}") for s in (5, 6, 7)]


def test_the_name_is_readable() -> None:
    name, digest = run_id("optimizer=multilayer", "seed=3").rsplit("-", 1)
    assert name == "digits-multilayer-s3"
    assert len(digest) == 8
    assert int(digest, 16) >= 0


def test_it_is_the_same_in_another_process() -> None:
    code = "from lookahead_bench.configuration import load; print(load(['optimizer=rapp']).run_id)"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == run_id("optimizer=rapp")


def test_scientific_and_execution_are_the_whole() -> None:
    config = load([])
    assert set(config.scientific) | set(EXECUTION) == set(config.nodes)
    assert "description" not in str(config.scientific)
    assert "equation" not in str(config.scientific)

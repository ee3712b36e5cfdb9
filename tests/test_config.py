"""Every YAML composes to a sound configuration; a run's identity covers what can change a number, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from lookahead_bench import configuration
from lookahead_bench.configuration import Config, identity
from lookahead_bench.configuration.compose import jobs, loader
from lookahead_bench.configuration.files import CONF, options
from lookahead_bench.configuration.identity import EXECUTION
from lookahead_bench.configuration.rules import BASE, BUDGETS

OPTIMIZERS, DATASETS = options("optimizer"), options("dataset")
COMPOSING = loader()  # one for all: it keeps what several configurations share


def load(overrides: list[str]) -> Config:
    return configuration.load(overrides, COMPOSING)


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
    assert all(file.about[key] for key in ("description", "equation", "source"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_a_budget_and_settings_of_its_own_at_every_scale(dataset: str) -> None:
    file = OmegaConf.load(CONF / "dataset" / f"{dataset}.yaml")
    tuned = list((CONF / "tuned").glob(f"{dataset}/**/lookahead.yaml"))
    for scale, entries in file.about.scales.items():
        config = load([f"dataset={dataset}", f"scale={scale}"])
        assert any(config[key] is not None for key in BUDGETS)
        for key, value in entries.items():
            found = (config if key in config.nodes else config["dataset"])[key]
            assert (found["name"] if isinstance(found, dict) else found) == value
        for key, value in file.about.optimizer.items():
            assert tuned or key not in BASE or config["optimizer"].get(key, value) == value
    assert set(file.about.scales) == {"smoke", "cpu", "paper"}
    # What the tests choose by: how the task is had without a network, what it reads, and what its steps cost.
    assert isinstance(file.about.offline, bool | DictConfig)
    assert isinstance(file.about.closed_form, bool)
    assert file.about.seconds_per_step > 0
    # A cadence of null is none in between, of "1 epochs" each epoch: the identity leaves both out, so a task has one.
    # A GAN counts in oracle calls, whatever its budget.
    has_epochs = any("epochs" in entries for entries in file.about.scales.values())
    cadence = file.get("evaluate_every")
    assert has_epochs == (cadence is not None) or cadence.endswith("oracle_calls")


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
    planned = jobs([f"experiment={experiment}"], COMPOSING)
    assert planned
    assert load(planned[0]).run_id
    assert load(planned[-1]).run_id


# -------------------------------------------------------------------------------------------------------- the identity

NOT_PART = [
    "force=true", "replicas=5", "results_dir=elsewhere", "data_dir=elsewhere", "tracker.project=other", "tracker=wandb",
    "study=mine", "confirm=true", "force=failed",
    "gpu=cpu", "gpu.threads=3", "gpu.compile=true", "gpu.channels_last=true", "gpu.fused=false", "gpu.device=cuda:3",
]  # fmt: skip
PART = [
    "seed=2", "epochs=3", "max_steps=3", "max_oracle_calls=3", "precision=float64", "resample=call", "clip_norm=1",
    "batchnorm=estimated", "batchnorm=running",
    "scale=paper", "model=cnn", "model.hidden=[3]", "schedule=cosine", "dataset.batch_size=32", "dataset.val_size=0",
    "dataset.augment=true", "dataset=bilinear", "optimizer=sgd", "optimizer.lr=0.2", "optimizer.k=6",
    "optimizer.alpha=0.4", "optimizer.momentum=0.8", "optimizer.weight_decay=0", "optimizer.pullback=reset",
    "optimizer.outer_momentum=0.1", "optimizer.base._target_=torch.optim.Adam", "+optimizer.base.nesterov=true",
    "optimizer.lr={model:0.1}", "evaluate_every=3epochs", "evaluate_every=1steps",
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
        (["optimizer.k=[5]"], ["optimizer.k=5"]),
        (["evaluate_every=3epoch"], ["evaluate_every='3 epochs'"]),
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
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def test_it_is_the_same_in_another_process() -> None:
    code = "from lookahead_bench.configuration import load; print(load(['optimizer=rapp']).run_id)"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == run_id("optimizer=rapp")


# The hash is for good: a stored run is found again by the code of next year. A change here orphans every stored run.
PINNED = {
    "": "digits-lookahead-s1-d3335d9497819a0d",
    "optimizer=multilayer optimizer.pullback=[none,reset]": "digits-multilayer-s1-69401d201f325688",
    "optimizer=la_eg_plus dataset=quadratic_game seed=7": "quadratic_game-la_eg_plus-s7-3a658c026226f7e4",
    "dataset=cifar100 optimizer=adamw scale=paper": "cifar100-adamw-s1-81905a6cf951f5da",
}


@pytest.mark.parametrize("overrides", PINNED)
def test_ids_are_for_good(overrides: str) -> None:
    assert run_id(*overrides.split()) == PINNED[overrides]


STORED = sorted((CONF.parent / "results" / "studies").glob("*/runs/*/config.yaml"))


def test_the_committed_runs_know_their_own_ids() -> None:
    assert len(STORED) >= 8
    for file in STORED:
        science = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["scientific"]
        assert identity.run_id(science) == file.parent.name


@pytest.mark.parametrize("key", identity.NEUTRAL)
def test_a_key_at_the_value_that_does_nothing_is_left_out(key: str) -> None:
    """A run that was stored before the key came has the id of the run that leaves it as it is."""
    choice = {"optimizer": "optimizer=la_eg_plus", "dataset": "dataset=quadratic_game", "schedule": "schedule=cosine"}
    own = {
        "optimizer.start": "optimizer=polyak",
        "dataset.augment": "dataset=digits",
        "dataset.inception_v3": "dataset=cifar10_gan",
    }
    task = [own.get(key) or choice.get(key.partition(".")[0], "seed=1")]
    value = identity.NEUTRAL[key]
    quoted = f"'{value}'" if value == "1 epochs" else value
    science = load([*task, f"{key}={quoted}"]).scientific
    group, _, name = key.rpartition(".")
    without = {k: v for k, v in science.items() if k != key}
    if group:
        without[group] = {k: v for k, v in science[group].items() if k != name}
    assert without != science
    assert identity.run_id(without) == identity.run_id(science)


def test_our_own_classes_may_move() -> None:
    science = load([]).scientific
    moved = {**science, "schedule": {**science["schedule"], "_target_": "lookahead_bench.elsewhere.deep.Constant"}}
    other = {**science, "schedule": {**science["schedule"], "_target_": "elsewhere.schedule.Constant"}}
    assert identity.run_id(moved) == identity.run_id(science) != identity.run_id(other)


def test_names_of_our_own_classes_are_unique() -> None:
    """They enter the hash by the name alone."""
    found = [value for group in ("dataset", "model", "schedule") for name in options(group)
             for value in [str(OmegaConf.load(CONF / group / f"{name}.yaml")._target_)]]  # fmt: skip
    assert len({path.rpartition(".")[2] for path in found}) == len(set(found))


def test_scientific_and_execution_are_the_whole() -> None:
    config = load([])
    assert set(config.scientific) | set(EXECUTION) == set(config.nodes)
    assert "description" not in str(config.scientific)
    assert "equation" not in str(config.scientific)

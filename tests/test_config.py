"""What is refused, in which words; what is and is not part of a run's identity."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookahead_bench import config
from lookahead_bench.cli import command
from lookahead_bench.errors import ConfigError
from lookahead_bench.rules import BUDGETS

CONF = Path(__file__).resolve().parent.parent / "conf"
OPTIMIZERS = sorted(p.stem for p in (CONF / "optimizer").glob("*.yaml"))
DATASETS = sorted(p.stem for p in (CONF / "dataset").glob("*.yaml"))

REFUSED = [
    ("optimzer=sgd", ["optimzer", "'optimizer'"]),
    ("+optimzer=sgd", ["optimzer", "'optimizer'"]),
    ("optimizer=multilyer", ["multilyer", "'multilayer'"]),
    ("dataset=cifar1", ["cifar1", "'cifar10'"]),
    ("optimizer.lrr=1", ["optimizer.lrr", "'optimizer.lr'"]),
    ("optimizer.lr=-1", ["optimizer.lr=-1", "> 0"]),
    ("optimizer.lr=0", ["optimizer.lr=0", "> 0"]),
    ("optimizer.lr=nan", ["optimizer.lr", "finite"]),
    ("optimizer.lr=inf", ["optimizer.lr", "finite"]),
    ("optimizer.lr=abc", ["optimizer.lr=abc", "finite number"]),
    ("optimizer.momentum=1", ["optimizer.momentum=1", "< 1"]),
    ("optimizer.k=0", ["optimizer.k=0", "integer >= 1"]),
    ("optimizer.k=2.5", ["optimizer.k=2.5", "integer >= 1"]),
    ("optimizer.k=[]", ["optimizer.k", "one value a layer"]),
    ("optimizer.alpha=1.5", ["optimizer.alpha=1.5", "<= 1"]),
    ("optimizer.pullback=back", ["optimizer.pullback=back", "reset"]),
    ("optimizer=rapp optimizer.inner=-3", ["optimizer.inner=-3", "integer >= 1"]),
    ("optimizer=rapp optimizer.relaxation=0", ["optimizer.relaxation=0", "> 0"]),
    ("optimizer=multilayer optimizer.k=[5,5,5]", ["optimizer.k", "optimizer.alpha", "layers"]),
    ("optimizer=adam optimizer.momentum=0.9", ["optimizer.momentum", "optimizer=adam", "weight_decay"]),
    ("optimizer.base._target_=torch.optim.Adam optimizer.momentum=0.9", ["momentum", "torch.optim.Adam"]),
    ("optimizer.base._target_=torch.optim.Adm", ["torch.optim.Adm", "'Adam'"]),
    ("optimizer.base._target_=no_such.Thing", ["no_such"]),
    ("optimizer.base._target_=os.system", ["os.system", "standard library"]),
    ("optimizer.base._target_=torch.nn.Linear", ["torch.nn.Linear", "torch.optim"]),
    ("optimizer.base._target_=torch.optim.lr_scheduler.StepLR", ["StepLR", "Optimizer"]),
    ("optimizer=extragradient optimizer.base._target_=torch.optim.LBFGS", ["LBFGS", "more than once"]),
    ("optimizer.lr={modle:1}", ["optimizer.lr", "model"]),
    ("seed=-1", ["seed=-1", ">= 0"]),
    ("seed=4294967296", ["seed=4294967296", "2^32"]),
    ("seed=1,2", ["seed=1,2", "-m"]),
    ("epochs=0", ["epochs=0", ">= 1"]),
    ("max_steps=0", ["max_steps=0", ">= 1"]),
    ("max_oracle_calls=0", ["max_oracle_calls=0", ">= 1"]),
    ("replicas=0", ["replicas=0", ">= 1"]),
    ("replicas=2 model=resnet20", ["replicas=2", "BatchNorm"]),
    ("replicas=2 optimizer.base._target_=torch.optim.LBFGS", ["replicas=2", "LBFGS"]),
    ("precision=float16", ["float16", "closures", "bfloat16"]),
    ("resample=never", ["resample=never", "step, call"]),
    ("clip_norm=-1", ["clip_norm=-1", "> 0"]),
    ("dataset.batch_size=0", ["dataset.batch_size=0", ">= 1"]),
    ("dataset.batch_size=2000", ["dataset.batch_size=2000", "training samples"]),
    ("model.hiden=3", ["model.hiden", "'model.hidden'"]),
    ("gpu.device=tpu", ["gpu.device=tpu", "cuda"]),
    ("dataset=quadratic_game dataset.rho=1", ["dataset.rho=1", "L"]),
    ("scale=huge", ["scale=huge", "paper"]),
]


def refusal(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command prints for a wrong configuration."""
    assert command(line.split()) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    return told.err


@pytest.mark.parametrize(("line", "words"), REFUSED, ids=[line for line, _ in REFUSED])
def test_wrong_input_gets_one_line_and_leaves_nothing(
    line: str, words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(line, capsys)
    assert all(word in told for word in words), told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line", ["--help", "list", "list rapp", "optimizer=multilyer", "optimizer.lr=-1", "max_steps=0"]
)
def test_light_commands_import_no_torch(line: str) -> None:
    code = (
        "import sys\nfrom lookahead_bench.cli import command\n"
        f"status = command({line.split()!r})\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
        f"assert status == {0 if line[0] in '-l' else 2}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_and_refusals_are_quick() -> None:
    def seconds(line: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "lookahead_bench", *line.split()], capture_output=True, check=False)
            times.append(time.perf_counter() - start)
        return min(times)  # what it takes when nobody else wants the cores

    assert seconds("--help") < 1.0
    assert seconds("optimizer.lr=-1") < 2.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_is_sound_on_every_task(optimizer: str) -> None:
    for dataset in DATASETS:
        loaded = config.load([f"optimizer={optimizer}", f"dataset={dataset}"])
        assert loaded["optimizer"]["name"] == optimizer
        assert loaded["dataset"]["name"] == dataset
        assert loaded.run_id.startswith(f"{dataset}-{optimizer}-s1-")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_task_is_sound_at_every_scale(dataset: str) -> None:
    loaded = [config.load([f"dataset={dataset}", f"scale={scale}"]) for scale in ("smoke", "cpu", "paper")]
    assert len({one.run_id for one in loaded}) == 3
    assert all(any(one[key] for key in BUDGETS) for one in loaded)


BASE = ["optimizer=lookahead", "dataset=digits"]


@pytest.mark.parametrize(
    "other",
    [
        "tracker=none", "gpu=cpu", "gpu.compile=true", "gpu.threads=1", "gpu.channels_last=true", "data_dir=x",
        "results_dir=y", "force=true", "replicas=4", "epochs=30", "optimizer.lr=0.1", "optimizer.k=5.0e0",
    ],
)  # fmt: skip
def test_what_cannot_change_a_number_is_not_in_the_identity(other: str) -> None:
    if other == "optimizer.k=5.0e0":
        with pytest.raises(ConfigError):
            config.load([*BASE, other])
    else:
        assert config.load([*BASE, other]).run_id == config.load(BASE).run_id


@pytest.mark.parametrize(
    "other",
    [
        "seed=2", "epochs=31", "max_steps=7", "max_oracle_calls=7", "precision=float64", "resample=call", "clip_norm=1",
        "optimizer.lr=0.2", "optimizer.k=6", "dataset.batch_size=32", "model=cnn", "model.hidden=[64]",
        "schedule=cosine", "scale=paper", "+optimizer.base.nesterov=true",
    ],
)  # fmt: skip
def test_what_can_change_a_number_is_in_the_identity(other: str) -> None:
    assert config.load([*BASE, other]).run_id != config.load(BASE).run_id


def test_one_configuration_has_one_identity_however_it_is_written() -> None:
    a = config.load(["optimizer=lookahead", "optimizer.lr=1", "seed=3"])
    b = config.load(["seed=3", "optimizer.lr=1.0", "optimizer=lookahead"])
    assert a.run_id == b.run_id
    layers = config.load(["optimizer=multilayer", "optimizer.alpha=0.5"]).run_id
    assert layers == config.load(["optimizer=multilayer", "optimizer.alpha=[0.5,0.5]"]).run_id


def test_replicas_are_the_runs_of_their_seeds() -> None:
    together = config.load([*BASE, "seed=5", "replicas=3"])
    alone = [config.load([*BASE, f"seed={seed}"]).run_id for seed in (5, 6, 7)]
    assert [one.run_id for one in together.seeds()] == alone


def test_tuned_settings_are_below_the_command_line() -> None:
    paper = ["dataset=cifar10", "scale=paper", "optimizer=lookahead"]
    assert config.load(paper)["optimizer"]["alpha"] == 0.8
    assert config.load([*paper, "optimizer.alpha=0.3"])["optimizer"]["alpha"] == 0.3
    assert config.load(["dataset=cifar10", "optimizer=lookahead"])["optimizer"]["alpha"] == 0.5


def test_a_budget_that_is_set_replaces_the_tasks_own() -> None:
    loaded = config.load([*BASE, "max_steps=50"])
    assert (loaded["epochs"], loaded["max_steps"]) == (None, 50)


@pytest.mark.parametrize("experiment", [p.relative_to(CONF / "experiment") for p in CONF.rglob("experiment/**/*.yaml")])
def test_every_experiment_plans_sound_runs(experiment: Path) -> None:
    from lookahead_bench.compose import jobs

    planned = jobs([f"experiment={experiment.with_suffix('').as_posix()}"])
    assert planned
    config.load(planned[0])
    config.load(planned[-1])

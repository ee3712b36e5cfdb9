"""Every wrong configuration: exit 2, one line with key, value, rule and nearest valid name, nothing run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lookahead_bench.cli import command
from lookahead_bench.configuration import source
from lookahead_bench.configuration.files import CONF

pytestmark = pytest.mark.fault("configuration")

# overrides -> what the one line says
WRONG = {
    # names
    "optimzer=sgd": ["optimzer=sgd", "did you mean 'optimizer'?"],
    "+optimzer=sgd": ["optimzer=sgd", "did you mean 'optimizer'?"],
    "optimizer=multilyer": ["optimizer=multilyer", "did you mean 'multilayer'?"],
    "dataset=cifer10": ["dataset=cifer10", "did you mean 'cifar10'?"],
    "scale=CPU": ["scale=CPU", "cpu"],
    "tracker=wadb": ["tracker=wadb", "did you mean 'wandb'?"],
    "experiment=nothing/like/it": ["experiment=nothing/like/it", "no such experiment"],
    "optimizer.lrr=1": ["optimizer.lrr=1", "did you mean 'optimizer.lr'?"],
    "++optimizer.lrr=1": ["optimizer.lrr=1", "did you mean 'optimizer.lr'?"],
    "optimizer.base.lr=1": ["optimizer.base.lr=1", "did you mean 'optimizer.lr'?"],
    "optimizer=sgd optimizer.k=5": ["optimizer.k=5", "means nothing for optimizer=sgd", "lr, momentum"],
    "optimizer=adam optimizer.momentum=0.9": ["optimizer.momentum=0.9", "means nothing for optimizer=adam"],
    "dataset.batchsize=5": ["dataset.batchsize=5", "did you mean 'dataset.batch_size'?"],
    "model.hiden=[5]": ["model.hiden=[5]", "did you mean 'model.hidden'?"],
    "gpu.treads=5": ["gpu.treads=5", "did you mean 'gpu.threads'?"],
    "sede=1": ["sede=1", "did you mean 'seed'?"],
    "hydra/launcher=jobib": ["hydra/launcher=jobib", "plugin"],
    "lits": ["lits", "did you mean 'list'?"],
    # numbers
    "optimizer.lr=-1": ["optimizer.lr=-1", "> 0"],
    "optimizer.lr=0": ["optimizer.lr=0", "> 0"],
    "optimizer.lr=nan": ["optimizer.lr=nan", "finite"],
    "optimizer.lr=inf": ["optimizer.lr=inf", "finite"],
    "optimizer.lr=abc": ["optimizer.lr=abc", "number"],
    "optimizer.lr=null": ["optimizer.lr=null", "number"],
    "optimizer.lr=true": ["optimizer.lr=true", "number"],
    "optimizer.lr=[0.1]": ["optimizer.lr=[0.1]", "number"],
    "optimizer.momentum=1": ["optimizer.momentum=1", "< 1"],
    "optimizer.momentum=-0.1": ["optimizer.momentum=-0.1", ">= 0"],
    "optimizer.weight_decay=-1": ["optimizer.weight_decay=-1", ">= 0"],
    "optimizer.k=0": ["optimizer.k=0", ">= 1"],
    "optimizer.k=2.5": ["optimizer.k=2.5", "integer"],
    "optimizer.k=true": ["optimizer.k=true", "integer"],
    "optimizer.k=[]": ["optimizer.k=[]", "one value a layer"],
    "optimizer.k=[5,0]": ["optimizer.k[1]=0", ">= 1"],
    "optimizer.alpha=1.5": ["optimizer.alpha=1.5", "<= 1"],
    "optimizer.alpha=-0.1": ["optimizer.alpha=-0.1", ">= 0"],
    "optimizer.alpha=nan": ["optimizer.alpha=nan", "finite"],
    "optimizer.pullback=back": ["optimizer.pullback=back", "none, pullback, reset"],
    "optimizer.outer_momentum=1": ["optimizer.outer_momentum=1", "< 1"],
    "optimizer=multilayer optimizer.k=[5,5] optimizer.alpha=[0.5]": ["optimizer.alpha=[0.5]", "as many values as"],
    "optimizer=multilayer optimizer.k=[5,5] optimizer.alpha=[0.5,0.5,0.5]": ["[5, 5]", "[0.5, 0.5, 0.5]"],
    "optimizer=rapp optimizer.inner=-3": ["optimizer.inner=-3", ">= 1"],
    "optimizer=rapp optimizer.inner=2.5": ["optimizer.inner=2.5", "integer"],
    "optimizer=rapp optimizer.relaxation=0": ["optimizer.relaxation=0", "> 0"],
    "optimizer=rapp optimizer.relaxation=1.5": ["optimizer.relaxation=1.5", "<= 1"],
    "optimizer=adam optimizer.betas=[0.9,1]": ["optimizer.betas=[0.9, 1]", "< 1"],
    "optimizer=adam optimizer.betas=[0.9]": ["optimizer.betas=[0.9]", "2 finite numbers"],
    "optimizer=ema optimizer.decay=1": ["optimizer.decay=1", "< 1"],
    "optimizer=past_extragradient optimizer.memory=all": ["optimizer.memory=all", "gradient, step"],
    "optimizer.lr={modle:0.1}": ["optimizer.lr.modle=0.1", "did you mean 'model'?"],
    "dataset=bilinear optimizer.lr={x:0.1}": ["optimizer.lr", "'y'"],
    "dataset=bilinear optimizer.lr={x:0.1,y:-1}": ["optimizer.lr.y=-1", "> 0"],
    "seed=-1": ["seed=-1", ">= 0"],
    "seed=4294967296": ["seed=4294967296", "2^32"],
    "seed=1.5": ["seed=1.5", "integer"],
    "seed=one": ["seed=one", "integer"],
    "max_steps=0": ["max_steps=0", ">= 1"],
    "max_steps=1.5": ["max_steps=1.5", "integer"],
    "epochs=0": ["epochs=0", ">= 1"],
    "max_oracle_calls=0.5": ["max_oracle_calls=0.5", ">= 1"],
    "max_oracle_calls=inf": ["max_oracle_calls=inf", "finite"],
    "clip_norm=0": ["clip_norm=0", "> 0"],
    "replicas=0": ["replicas=0", ">= 1"],
    "replicas=2 seed=4294967295": ["replicas=2", "2^32"],
    "replicas=2 optimizer.base._target_=torch.optim.LBFGS": ["replicas=2", "LBFGS"],
    "replicas=2 model=resnet20": ["replicas=2", "BatchNorm"],
    "force=maybe": ["force=maybe", "true or false"],
    "resample=always": ["resample=always", "step, call"],
    "results_dir=": ["results_dir=", "not empty"],
    "results_dir=null": ["results_dir=null", "not empty"],
    "data_dir=null": ["data_dir=null", "not empty"],
    "dataset.batch_size=0": ["dataset.batch_size=0", ">= 1"],
    "dataset.batch_size=5000": ["dataset.batch_size=5000", "1437"],
    "dataset.val_size=1437": ["dataset.val_size=1437", "1437"],
    "dataset=quadratic_game dataset.rho=1": ["dataset.rho=1", "L"],
    "dataset.augment=3": ["dataset.augment=3", "true or false"],
    "dataset.metric=speed": ["dataset.metric=speed", "accuracy"],
    "dataset.players=[a]": ["dataset.players", "leave it out"],
    "+dataset.check=os.system": ["dataset.check=os.system", "no such key"],
    "model.hidden=[0]": ["model.hidden=[0]", ">= 1"],
    "model.hidden=5": ["model.hidden=5", "a list"],
    "schedule=cosine schedule.warmup=1.5": ["schedule.warmup=1.5", "< 1"],
    "schedule=step schedule.milestones=[0.5,0.2]": ["schedule.milestones=[0.5, 0.2]", "increasing"],
    "schedule=step schedule.factor=0": ["schedule.factor=0", "> 0"],
    "tracker=wandb tracker.mode=sometimes": ["tracker.mode=sometimes", "auto, online, offline"],
    "gpu.device=tpu": ["gpu.device=tpu", "cuda"],
    "gpu.threads=0": ["gpu.threads=0", ">= 1"],
    "precision=fp16": ["precision=fp16", "bfloat16"],
    "precision=float16": ["precision=float16", "bfloat16"],
    "precision=double": ["precision=double", "float64"],
    "dataset=quadratic_game epochs=3": ["epochs=3", "max_steps"],
    "dataset=quadratic_game model=mlp": ["model=mlp", "no model"],
    "gpu.device=cuda:99": ["gpu.device=cuda:99", "gpu=cpu"],
    "schedule=inverse schedule.span=-1": ["schedule.span=-1", ">= 0"],
    "schedule=inverse schedule.power=-1": ["schedule.power=-1", ">= 0"],
    "schedule._target_=lookahead_bench.errors.ConfigError": ["schedule._target_", "cannot be used"],
    "dataset=quadratic_game dataset.start=[a,b]": ["dataset.start", "a list of 2 finite numbers"],
    "optimizer=alt_gda dataset=bilinear optimizer.order=foo": ["optimizer.order=foo", '[["x"], ["y"]]'],
    "optimizer=alt_gda dataset=bilinear optimizer.order=[[x],[z]]": ["optimizer.order", '"z"', "x, y"],
    "optimizer=alt_gda dataset=bilinear optimizer.order=[[x]]": ["optimizer.order", "'y' never moves"],
    "+optimizer.base.eps=-1 optimizer=adam": ["optimizer.base.eps=-1", "> 0"],
    "+optimizer.base.betas=[1,2,3] optimizer=adam": ["optimizer.base.betas=[1, 2, 3]", "2 finite numbers"],
    "dataset=bilinear optimizer.lr.x=0.1": ["optimizer.lr.x=0.1", "optimizer.lr={x:0.1,...}"],
    "dataset=digits_gan optimizer=alt_adam optimizer.lr={generatr:1e-4,discriminator:2e-4}": [
        "optimizer.lr.generatr=0.0001", "did you mean 'generator'?",
    ],
    "dataset=digits_gan optimizer=alt_adam optimizer.lr={generator:1e-4}": ["optimizer.lr", "'discriminator' has none"],
    "dataset=digits_gan optimizer=adam optimizer.betas={generator:[0,1],discriminator:[0,0.9]}": [
        "optimizer.betas.generator=[0, 1]", "< 1",
    ],
    "dataset=digits_gan optimizer=alt_adam optimizer.order=[[discriminator],[judge]]": [
        "optimizer.order", '"judge"', "discriminator, generator",
    ],
    "dataset=digits_gan optimizer=alt_adam optimizer.order=[[generator]]": ["'discriminator' never moves"],
    "optimizer=alt_adam optimizer.order=[[discriminator],[generator]]": ["optimizer.order", "players: model"],
    "dataset=gaussians_gan dataset.modes=0": ["dataset.modes=0", ">= 1"],
    "dataset=gaussians_gan dataset.layout=grid dataset.modes=7": ["dataset.modes=7", "square number"],
    "dataset=gaussians_gan dataset.layout=cross": ["dataset.layout=cross", "ring, grid"],
    "dataset=gaussians_gan dataset.sigma=0": ["dataset.sigma=0", "> 0"],
    "dataset=gaussians_gan epochs=3": ["epochs=3", "max_steps"],
    "dataset=digits_gan dataset.loss=wgan": ["dataset.loss=wgan", "non_saturating, hinge, wasserstein"],
    "dataset=digits_gan dataset.gradient_penalty=-1": ["dataset.gradient_penalty=-1", ">= 0"],
    "dataset=digits_gan dataset.scored=10": ["dataset.scored=10", ">= 50"],
    "dataset=digits_gan dataset.low=1": ["dataset.low=1", "< 1"],
    "dataset=digits_gan dataset.batch_size=1438": ["dataset.batch_size=1438", "1437 training samples"],
    "dataset=digits_gan model=resnet20": ["model=resnet20", "dataset=digits_gan", "shape and latent", "mlp_gan"],
    "dataset=cifar10 model=dcgan": ["model=dcgan", "dataset=cifar10", "in_shape and classes", "resnet20"],
    "dataset=digits model=dcgan": ["model=dcgan", "dataset=digits", "in_shape and classes", "mlp"],
    "dataset=digits_gan model=dcgan": ["model=dcgan", "28x28", "8x8"],
    "dataset=mnist_gan model=resnet_gan": ["model=resnet_gan", "32x32", "28x28"],
    "dataset=mnist_gan optimizer=alt_adam replicas=2": ["replicas=2", "model=dcgan16 has BatchNorm"],
    "dataset=digits_gan ema=1": ["ema=1", "< 1"],
    "ema=-0.5": ["ema=-0.5", ">= 0"],
    "tuned=foo": ["tuned=foo", "optimizer.KEY"],
    # classes
    "optimizer.base._target_=torch.optim.Optimizer": ["torch.optim.Optimizer", "optimizer"],
    "optimizer.base._target_=lookahead_bench.optim.Lookahead": ["lookahead_bench.optim.Lookahead", "wrappers"],
    "model._target_=torch.nn.Linear": ["model._target_=torch.nn.Linear", "of your own"],
    "optimizer.base._target_=os.system": ["optimizer.base._target_=os.system", "standard library"],
    "optimizer.base._target_=builtins.eval": ["builtins.eval", "standard library"],
    "optimizer.base._target_=logging.os.system": ["logging.os.system", "standard library"],
    "optimizer.base._target_=torch.nn.Linear": ["torch.nn.Linear", "only torch.optim"],
    "optimizer.base._target_=torch.optim.SGDD": ["torch.optim.SGDD", "did you mean 'SGD'?"],
    "optimizer.base._target_=torch.optim.lr_scheduler.StepLR": ["StepLR", "ptimizer"],
    "optimizer.base._target_=nowhere.SGD": ["nowhere.SGD", "nowhere"],
    "optimizer.base._target_=SGD": ["optimizer.base._target_=SGD", "dotted path"],
    "optimizer.base._target_=null": ["optimizer.base._target_=null", "dotted path"],
    "optimizer.base=3": ["optimizer.base=3", "_target_"],
    "optimizer.wrappers=3": ["optimizer.wrappers=3", "list"],
    "optimizer.wrappers=[3]": ["optimizer.wrappers[0]=3", "_target_"],
    "optimizer.wrappers=[{_target_:os.system}]": ["os.system", "standard library"],
    "optimizer.wrappers=[{_target_:torch.optim.SGD}]": ["torch.optim.SGD", "optimizer.wrappers[0]"],
    "+optimizer.base.nesterow=true": ["optimizer.base.nesterow=true", "did you mean 'nesterov'?"],
    "optimizer.base._target_=torch.optim.Adam optimizer.momentum=0.5": ["optimizer.momentum=0.5", "torch.optim.Adam"],
    "optimizer=extragradient optimizer.base._target_=torch.optim.LBFGS": ["torch.optim.LBFGS", "ProximalPoint"],
    "optimizer=lookahead optimizer.name=../../elsewhere": ["optimizer.name=../../elsewhere", "letters"],
    "+hydra.callbacks.x._target_=joblib.load": ["hydra.callbacks.x._target_=joblib.load", "is no Hydra callback"],
    "hydra.launcher._target_=joblib.load": ["hydra.launcher._target_=joblib.load", "is no Hydra launcher"],
    "hydra.sweeper._target_=subprocess.call": ["hydra.sweeper._target_=subprocess.call", "standard library"],
    "schedule._target_=pandas.read_pickle": ["schedule._target_=pandas.read_pickle", "cannot be used"],
    "dataset._target_=lookahead_bench.schedule.Step": ["dataset._target_", "is no lookahead_bench.tasks.base.Task"],
    "model._target_=lookahead_bench.schedule.Step": ["model._target_", "is no torch.nn.Module"],
    "dataset.name=../../../escaped": ["dataset.name=../../../escaped", "letters"],
    "model.name=../../x": ["model.name=../../x", "letters"],
    "study=../x": ["study=../x", "letters"],
    "-m seed=range(1000000)": ["1,000,000 of seed", "10,000 runs"],
    "evaluate_every=often": ["evaluate_every=often", "100steps"],
    "evaluate_every=0steps": ["evaluate_every=0steps", "100steps"],
    "dataset=quadratic evaluate_every=2epochs": ["evaluate_every=2epochs", "no epochs"],
    "dataset.about.direction=min": ["dataset.about.direction=min", "max"],
    "dataset._target_=os.system": ["dataset._target_=os.system", "standard library"],
    "model._target_=os.system": ["model._target_=os.system", "standard library"],
    "schedule._target_=shutil.rmtree": ["schedule._target_=shutil.rmtree", "standard library"],
    # grammar
    "optimizer=sgd,adam": ["optimizer=sgd,adam", "-m"],
    "seed=1,2": ["seed=1,2", "-m"],
    "optimizer.k=[5": ["optimizer.k=[5", "cannot be read"],
    "=3": ["=3", "cannot be read"],
    "~seed": ["~seed", "cannot be deleted"],
    "~optimizer": ["~optimizer", "cannot be deleted"],
    "optimizer=null": ["optimizer=null", "sgd"],
    "dataset=3": ["dataset=3", "digits"],
    "optimizer=../dataset/digits": ["optimizer=../dataset/digits", "sgd"],
    "+optimizer=sgd": ["+optimizer=sgd", "write optimizer=sgd"],
    "+seed=3": ["+seed=3", "write seed=3"],
    "-m optimizer.lr=interval(0,1)": ["optimizer.lr=interval(0,1)", "search=halton"],
    "--config-dir=/no/such/folder": ["--config-dir", "/no/such/folder", "no directory"],
    "--shell-completion query=bash": ["--shell-completion", "COMP_LINE"],
    "seed=${nothing}": ["seed=${nothing}", "not found"],
    "seed=${seed}": ["seed=${seed}", "recursive"],
    "--no-such-option": ["--no-such-option", "--help"],
    "--config-name=other": ["--config-name", "--help"],
}  # fmt: skip


@pytest.mark.parametrize("overrides", WRONG)
def test_a_wrong_configuration_is_one_line(overrides: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = overrides.split() if "results_dir=" in overrides else [f"results_dir={tmp_path}", *overrides.split()]
    assert command(given) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1, err
    line = err.strip()
    assert out == ""
    assert line.startswith("lookahead-bench: ")
    assert len(line) < 600
    for words in WRONG[overrides]:
        assert words in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "reslts_dir=x"], ["status", "x", "y"],
        ["report", "--fast"], ["list", "multilyer"], ["list", "key=3"],
        ["data"], ["data", "cifar11"], ["bench", "nothing"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_arguments_of_the_other_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert arguments[-1].split("=")[0].strip("-") in line


def test_a_yaml_file_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("name: mine\ndescription: a: b\n")
    for sweep in ([], ["-m", "seed=1,2"]):
        assert command(["--config-dir", str(tmp_path), "optimizer=mine", *sweep]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{tmp_path}/optimizer/mine.yaml, line 2" in line


def test_a_yaml_bomb_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "optimizer").mkdir()
    lines = ["name: bomb", "a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (tmp_path / "optimizer" / "bomb.yaml").write_text("\n".join(lines))
    assert command(["--config-dir", str(tmp_path), "optimizer=bomb"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bomb.yaml: its aliases stand for more than 10,000 values" in line


CHECKS = {
    "subprocess.call": "standard library",
    "pandas.read_pickle": "is no lookahead_bench.tasks.checks.Check",
    "lookahead_bench.tasks.checks.Nothing": "has no 'Nothing'",
    "no_such_module.Check": "no module 'no_such_module'",
    "broken_check.Broken": "failed: ZeroDivisionError",
    "broken_check.Says": "failed: ValueError",
    "dead_check.Dead": "is no lookahead_bench.tasks.checks.Check",
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_broken_check_of_a_task_is_one_line(
    check: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dataset").mkdir()
    text = (CONF / "dataset" / "quadratic.yaml").read_text().replace("name: quadratic\n", "name: mine\n")
    (tmp_path / "dataset" / "mine.yaml").write_text(text.replace("about:", f"about:\n  check: {check}", 1))
    (tmp_path / "broken_check.py").write_text(
        "from lookahead_bench.tasks.checks import Check\n"
        "class Broken(Check):\n    def broken(self, node):\n        yield 1 / 0\n"
        "class Says(Check):\n    def broken(self, node):\n        return 'too small'\n"
    )
    (tmp_path / "dead_check.py").write_text("raise OSError('no library')\nclass Dead: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("broken_check", "dead_check"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    source.names.cache_clear()
    assert command(["--config-dir", str(tmp_path), "dataset=mine", "tracker=none"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert CHECKS[check] in line, line


SLIPS = {  # of somebody who writes a task: what is changed in quadratic.yaml -> what the one line says
    "spraed: 0.0": ("spread: 0.0", "dataset.spraed=0.0: Quadratic takes no 'spraed'; did you mean 'spread'?"),
    "metric: dist\n": ("metric: distance\n", "dataset.about.metric=dist: the task scores distance, operator_norm"),
    "players: [x]": ("players: [model]", "dataset.players=[x]: the players of Quadratic are [model]"),
    "name: yours": ("name: mine", "dataset=mine: its YAML says name: yours; it must be the file's"),
    "dim: an integer > one": ("dim: an integer >= 1", "the range of dataset.dim: "),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_yaml_of_a_task_is_one_line(
    slip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right, said = SLIPS[slip]
    text = (CONF / "dataset" / "quadratic.yaml").read_text().replace("name: quadratic\n", "name: mine\n")
    assert right in text
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text(text.replace(right, slip))
    place = f"results_dir={tmp_path}/results"
    assert command(["--config-dir", str(tmp_path), "dataset=mine", "max_steps=2", "tracker=none", place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert command(["report", place]) in (0, 1)  # what has failed is counted, or there is nothing


def test_files_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("name: mine\nabout: a: b\n")
    assert command(["list", f"hydra.searchpath=[file://{tmp_path}]"]) == 2
    assert f"{tmp_path}/optimizer/mine.yaml, line 2: is no YAML" in capsys.readouterr().err
    (tmp_path / "optimizer" / "mine.yaml").unlink()
    (tmp_path / "unreadable_module.py").write_text("def f(:\n")
    wrapper = "optimizer.wrappers=[{_target_:unreadable_module.Mine}]"
    assert command(["--config-dir", str(tmp_path), wrapper]) == 2
    assert "unreadable_module.py, line 1: is no Python: invalid syntax" in capsys.readouterr().err
    assert command([f"hydra.searchpath=[file://{tmp_path}/nothing]", "optimizer=sgd"]) == 2
    assert "nothing: is no folder" in capsys.readouterr().err

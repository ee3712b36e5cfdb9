"""Multirun: all is checked before anything runs, a failure is told at once and stops nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import DIGITS

from lookahead_bench import load_results, run
from lookahead_bench.cli import command
from lookahead_bench.configuration.files import options
from lookahead_bench.runs.files import read_json


@pytest.fixture(autouse=True)
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "faults")


def test_every_combination_is_a_run_and_tells_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", "optimizer=sgd,lookahead", "seed=1,2", *DIGITS, f"results_dir={tmp_path}/sweep"]
    assert command(sweep) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 5
    assert all("done best val accuracy" in line for line in lines[:4])
    assert lines[-1] == "4 runs: 4 done"
    assert err == ""
    single = run(["optimizer=lookahead", "seed=2", *DIGITS, f"results_dir={tmp_path}/single"])
    assert read_json(tmp_path / "sweep" / "runs" / single.run_id / "run.json")["final"] == single.final  # type: ignore[index]
    assert command([*sweep, "seed=1,2,3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("(skipped)") for line in lines[:6]] == [True] * 4 + [False] * 2  # the missing come last
    assert lines[6] == "6 runs: 6 done"


def test_swept_datasets_have_their_own_models_schedules_and_budgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["-m", "dataset=digits,bilinear", "scale=smoke", "tracker=none", f"results_dir={tmp_path}"]) == 0
    assert "2 runs: 2 done" in capsys.readouterr().out
    for dataset in ("digits", "bilinear"):
        single = run([f"dataset={dataset}", "scale=smoke", "tracker=none", f"results_dir={tmp_path}"])
        assert single.skipped


@pytest.mark.parametrize(
    "sweep",
    [
        ["optimizer=adam,radam", "optimizer.betas=[0,0.9]"],  # the default optimizer has no betas
        ["dataset=quadratic_game,bilinear_constrained", "dataset.spread=0.1,0.2", "optimizer=sgd"],
    ],
    ids=lambda sweep: sweep[0],
)
def test_a_key_of_the_swept_choices_need_not_be_one_of_the_default(sweep: list[str], tmp_path: Path) -> None:
    assert command(["-m", *sweep, "max_steps=2", "tracker=none", f"results_dir={tmp_path}"]) == 0
    first = [override.split(",")[0] if "[" not in override else override for override in sweep]
    assert run([*first, "max_steps=2", "tracker=none", f"results_dir={tmp_path}"]).skipped


def test_glob_chooses_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["dataset=quadratic_game", "max_steps=2", "tracker=none", f"results_dir={tmp_path}"]
    assert command(["-m", "optimizer=glob(la_*)", *settings]) == 0
    names = [name for name in options("optimizer") if name.startswith("la_")]
    assert f"{len(names)} runs: {len(names)} done" in capsys.readouterr().out


def test_force_repeats_each_job_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", "optimizer=sgd", "seed=1,2", *DIGITS, f"results_dir={tmp_path}", "force=true"]
    assert command(sweep) == 0
    assert command(sweep) == 0
    assert "(skipped)" not in capsys.readouterr().out


def test_values_written_with_two_plus_signs_reach_the_jobs(tmp_path: Path) -> None:
    assert command(["-m", "seed=1,2", "++dataset.batch_size=32", *DIGITS, f"results_dir={tmp_path}"]) == 0
    assert set(load_results(tmp_path)["dataset.batch_size"]) == {32}


@pytest.mark.parametrize(
    "wrong",
    [["optimizer.lr=0.1,0.2,-1"], ["seed=1,2,-3"], ["optimizer=sgd,multilyer"],
     ["optimizer=lookahead,sgd", "optimizer.k=3"],
     ["optimizer=sgd,rapp", "optimizer.base._target_=fault_optimizers.Refuses"]],
    ids=lambda wrong: wrong[-1],
)  # fmt: skip
def test_a_wrong_job_anywhere_refuses_the_sweep(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["-m", *wrong, *DIGITS, f"results_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_failing_job_is_told_at_once_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = "optimizer.base._target_=torch.optim.SGD,fault_optimizers.Raises"
    assert command(["-m", "seed=1,2", targets, "optimizer=sgd", *DIGITS, f"results_dir={tmp_path}"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "4 runs: 2 done, 2 failed"
    lines = err.splitlines()
    assert len(lines) == 2
    assert all("the fifth step has failed" in line for line in lines)


def test_a_diverged_job_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["-m", "optimizer=sgd", "optimizer.lr=0.1,1e30", *DIGITS, f"results_dir={tmp_path}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 runs: 1 diverged, 1 done"


STUDY = """
# @package _global_
defaults:
  - override /dataset: bilinear
max_steps: 5
hydra: {sweeper: {params: {optimizer: "la_gda,sgd", seed: "1,2"}}}
"""


def test_an_experiment_is_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conf" / "experiment" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine" / "study.yaml").write_text(STUDY)
    place = f"results_dir={tmp_path}/results"
    study = ["--config-dir", f"{tmp_path}/conf", "-m", "experiment=mine/study", "tracker=none", place]
    assert command(study) == 0
    assert "4 runs: 4 done" in capsys.readouterr().out
    frame = load_results(tmp_path / "results")
    assert set(frame["optimizer"]) == {"la_gda", "sgd"}
    assert set(frame["dataset"]) == {"bilinear"}
    assert command([*study, "seed=1,2,3"]) == 0
    assert "6 runs: 6 done" in capsys.readouterr().out


def test_the_value_for_sweepers_that_optimise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Hydra hands to a sweeper for each job is the best headline score."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    returned = []
    launch = BasicLauncher.launch

    def listen(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        done = launch(self, *args, **kwargs)
        returned.extend(one.return_value for one in done)
        return done

    monkeypatch.setattr(BasicLauncher, "launch", listen)
    assert command(["-m", "seed=1,2", *DIGITS, f"results_dir={tmp_path}"]) == 0
    assert returned == [run([f"seed={s}", *DIGITS, f"results_dir={tmp_path}"]).best["value"] for s in (1, 2)]  # type: ignore[index]

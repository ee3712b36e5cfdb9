"""Sweepers that decide as they go: Optuna's, with its database; a failure is a failed trial and stops nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import DIGITS

from lookahead_bench.cli import command

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")  # Optuna 2's, of SQLAlchemy and of itself

SEARCH = [
    "-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=5", "optimizer=sgd", *DIGITS, "max_steps=8",
    "optimizer.base._target_=choice(torch.optim.SGD,fault_optimizers.Raises)",
]  # fmt: skip


@pytest.fixture(autouse=True)
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "faults")


def test_a_failed_run_is_a_failed_trial_and_the_same_command_adds_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    search = [*SEARCH, "optimizer.lr=choice(0.1,-1)", f"hydra.sweeper.storage={storage}", f"results_dir={tmp_path}/r"]
    search += ["hydra.sweeper.study_name=one", "hydra.sweeper.n_trials=4"]
    assert command(search) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "4 runs: 1 done, 1 failed, 2 refused"
    told = err.splitlines()
    study = optuna.load_study(study_name="one", storage=storage)
    assert study.direction.name == "MAXIMIZE"  # as the task's headline score wants it
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "FAIL", "COMPLETE"]
    assert len(told) == 3
    assert command(search) == 1
    assert "(skipped)" in capsys.readouterr().out
    assert len(optuna.load_study(study_name="one", storage=storage).trials) == 8


def test_the_same_command_with_a_seeded_sampler_finds_its_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = [*SEARCH[:-1], "optimizer.lr=tag(log,interval(1e-3,1))", f"results_dir={tmp_path}"]
    assert command([*search, "hydra.sweeper.n_trials=2"]) == 0
    assert command([*search, "hydra.sweeper.n_trials=3"]) == 0
    out, err = capsys.readouterr()
    assert [line.endswith("(skipped)") for line in out.splitlines()] == [False, False, False, True, True, False, False]
    assert out.splitlines()[-1] == "3 runs: 3 done"
    assert err == ""


def test_a_search_without_any_score_ends_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = [*SEARCH[:-1], "optimizer.base._target_=fault_optimizers.Raises", "hydra.sweeper.n_trials=1"]
    assert command([*only, "seed=choice(1,2)", f"results_dir={tmp_path}"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "1 runs: 1 failed"
    assert err.splitlines()[-1] == "lookahead-bench: no job of the sweep has a score"
    assert len(err.splitlines()) == 2

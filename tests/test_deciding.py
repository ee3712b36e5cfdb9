"""A sweeper that decides as it goes: what fails is told at once, is raised to it, and makes the exit status."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from lookahead_bench.cli import command

# Asks for one trial after another until one has a score, as an optimising sweeper would.
SWEEPER = """
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

SEEN = []

class UntilAScore(Sweeper):
    def __init__(self, trials, direction, max_failure_rate):
        self.trials, self.direction, self.failures = trials, direction, max_failure_rate

    def setup(self, *, hydra_context, task_function, config):
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        SEEN.append(self.direction)
        for i, trial in enumerate(self.trials):
            (end,) = self.launcher.launch([[*arguments, trial]], initial_job_idx=i)
            try:
                SEEN.append(end.return_value)
                return
            except Exception as error:
                SEEN.append(type(error).__name__)
        raise ValueError("no trial is the best")
"""
GAME = ["dataset=quadratic_game", "max_steps=30", "tracker=none"]
NODE = """
_target_: hydra_plugins.until_a_score.UntilAScore
trials: ["optimizer.lr=-1", "optimizer.base._target_=fault_optimizers.Raises", "optimizer.lr=0.1"]
direction: maximize
max_failure_rate: 0.0
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(Path(__file__).parent / "faults")
    for path, text in (("hydra_plugins/until_a_score.py", SWEEPER), ("conf/hydra/sweeper/until_a_score.yaml", NODE)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    Plugins.instance().register(importlib.import_module("hydra_plugins.until_a_score").UntilAScore)
    return ["-m", f"--config-dir={tmp_path}/conf", "hydra/sweeper=until_a_score", "optimizer=sgd", *GAME,
            f"results_dir={tmp_path}/r"]  # fmt: skip


def test_failures_are_told_and_raised_and_the_sweeper_goes_on(
    sweep: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = importlib.import_module("hydra_plugins.until_a_score").SEEN
    seen.clear()
    assert command(sweep) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "3 runs: 1 done, 1 failed, 1 refused"
    assert seen[:-1] == ["minimize", "ConfigError", "RunError"]  # the score is a distance
    assert 0 < seen[-1] < 10
    assert len(err.splitlines()) == 2
    assert "lr=-1" in err.splitlines()[0]
    assert "RuntimeError: the fifth step" in err.splitlines()[1]
    assert command([*sweep, "hydra.sweeper.trials=['optimizer.lr=-1']"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "1 runs: 1 refused"
    assert err.splitlines()[-1] == "lookahead-bench: no job of the sweep has a score"

"""A constant outside of its range: one line, exit 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookahead_bench.cli import command

WRONG = [
    (["dataset=quadratic_game", "dataset.rho=-1.0"], "dataset.rho=-1.0: must lie strictly between -1/L and 1/L"),
    (["dataset=quadratic_game", "dataset.L=4.0", "dataset.rho=0.25"], "dataset.rho=0.25"),
    (["dataset=quadratic_game", "dataset.L=0.0"], "dataset.L=0.0: must be a finite number > 0"),
    (["dataset=quadratic_game", "dataset.start=[1.0]"], "dataset.start=[1.0]: must be a list of 2 finite numbers"),
    (["dataset=quadratic_game", "dataset.noise=-1.0"], "dataset.noise=-1.0"),
    (["dataset=bilinear_constrained", "dataset.start=[0.0,1.5]"], "dataset.start=[0.0, 1.5]: lies outside of the box"),
    (["dataset=bilinear_constrained", "dataset.c=1.5"], "dataset.c=1.5: puts the solution"),
    (["dataset=vi_gan_bilinear", "dataset.start=[0.0,1.5]"], "lies outside of the box"),
    (["dataset=global_forsaken", "dataset.box=null", "dataset.ball=0.5"], "lies outside of the ball of radius 0.5"),
    (["dataset=global_forsaken", "dataset.ball=2.0"], "cannot stand beside"),
    (["dataset=polar_game", "dataset.box=[1,0]"], "dataset.box=[1, 0]: must be"),
    (["dataset=polar_game", "dataset.case=soft"], "dataset.case=soft: must be one of hard, medium, easy"),
    (["dataset=bilinear", "dataset.batch_size=101"], "must be at most dataset.dim=100"),
    (["dataset=bilinear", "dataset.divisor=[3,1]"], "dataset.divisor=[3, 1]"),
    (["dataset=noisy_quadratic", "dataset.dim=0"], "dataset.dim=0: must be an integer >= 1"),
    (["dataset=quadratic", "dataset.condition=0.5"], "dataset.condition=0.5"),
    (["dataset=noisy_quadratic", "replicas=0"], "replicas=0: must be an integer >= 1"),
    (["dataset=noisy_quadratic", "replicas=2", "optimizer.base._target_=torch.optim.LBFGS"], "replicas=2"),
]


@pytest.mark.parametrize(("overrides", "words"), WRONG, ids=lambda v: v[-1] if isinstance(v, list) else "")
def test_one_line_and_exit_2(
    overrides: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*overrides, "optimizer=sgd", "tracker=none", f"results_dir={tmp_path}/results"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()

"""Every figure has its study and its module, and the small ones are drawn from stored runs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookahead_bench.cli import command
from lookahead_bench.report import figures, theory


def test_studies_and_modules_are_the_same_names() -> None:
    modules = {path.stem for path in Path(theory.__path__[0]).glob("*.py")} - {"__init__"}
    assert modules == set(figures.figures())


@pytest.mark.parametrize("name", ["vi_gan"])
def test_a_figure_is_drawn_and_its_runs_are_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for runs in ("(6 runs done now", "(0 runs done now"):
        assert command(["figures", name, f"results_dir={tmp_path}"]) == 0
        assert runs in capsys.readouterr().out
    pdf = (tmp_path / "figures" / f"{name}.pdf").read_bytes()
    assert b"/Type3" not in pdf  # fonts are embedded whole, as journals ask
    assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 10_000


def test_an_unknown_figure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["figures", "vigan"]) == 2
    assert capsys.readouterr().err.count("\n") == 1

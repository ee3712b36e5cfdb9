"""Every figure has its study and its module, and the small ones are drawn from stored runs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookahead_bench import report
from lookahead_bench.cli import command
from lookahead_bench.report import figures
from lookahead_bench.report.comparison import Comparison, as_frame


def test_studies_and_modules_are_the_same_names() -> None:
    files = Path(report.__path__[0]).glob("*/[!_]*.py")
    modules = {f"{path.parent.name}/{path.stem}" for path in files if path.parent.name != "page"}
    assert modules == set(map(figures.full, figures.figures()))


@pytest.mark.parametrize("name", ["vi_gan"])
def test_a_figure_is_drawn_and_its_runs_are_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for runs in ("(6 runs done now", "(0 runs done now"):
        assert command(["figures", name, f"results_dir={tmp_path}"]) == 0
        out = capsys.readouterr().out
        assert runs in out
        assert "8 of 8 closed forms met" in out
    assert (tmp_path / "figures" / f"{name}.md").read_text().count("| yes |") == 8
    pdf = (tmp_path / "figures" / f"{name}.pdf").read_bytes()
    assert b"/Type3" not in pdf  # fonts are embedded whole, as journals ask
    assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 10_000


def test_what_agrees() -> None:
    """Exact quantities to 1e-6 relative, noisy ones to four of their own standard errors."""
    exact = [Comparison("game", "EG", "factor", value, 0.5) for value in (0.5 + 4e-7, 0.5 - 6e-7)]
    noisy = [Comparison("game", "EG", "loss", value, 0.5, 0.01) for value in (0.539, 0.541, float("nan"))]
    assert [one.agrees for one in (*exact, *noisy)] == [True, False, True, False, False]
    lines = as_frame([*exact, *noisy])
    assert list(lines["agrees"]) == ["yes", "no", "yes", "no", "no"]
    assert lines["difference"][2] == "3.9e-02 (+3.9 SE)"


def test_an_unknown_figure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["figures", "vigan"]) == 2
    assert capsys.readouterr().err.count("\n") == 1

"""docs/coverage.md is what the experiments and the list of the papers' figures say, and its commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lookahead_bench.configuration.files import options
from lookahead_bench.report import coverage
from lookahead_bench.report.figures import figures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == coverage.page(), "run python -m lookahead_bench.report.coverage > docs/coverage.md"


def test_every_command_names_a_figure_or_an_experiment() -> None:
    """test_config composes every experiment; tests of figures draw them."""
    commands = re.findall(r"`lookahead-bench ([^`]*)`", PAGE.read_text())
    drawn = {f"figures {name}" for name in figures()}
    studies = {f"-m experiment={name} scale=paper" for name in options("experiment")}
    assert commands
    assert set(commands) <= drawn | studies


def test_a_figure_needs_an_experiment_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = coverage.experiments()
    for figure, words in (("lookahead_2019/table-nmt", "not both"), ("lookahead_2019/table-none", "conf/papers.yaml")):
        monkeypatch.setattr(
            coverage, "experiments", lambda figure=figure: shown | {figure: [("theory/games/rapp", None)]}
        )
        with pytest.raises(ValueError, match=f"{figure}.*{words}"):
            coverage.page()

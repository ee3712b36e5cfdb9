"""A sweep over a number is drawn: the best of the other settings at every value, the seeds, the lost ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from stored_runs import write_run

from lookahead_bench.report import plotting, sensitivity
from lookahead_bench.report.settings import Problem, outcomes, problems
from lookahead_bench.runs.results import load_runs


def stored(results: Path) -> list[Problem]:
    return list(problems(outcomes(load_runs(results))))


def test_a_sweep_over_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    save = plotting.save
    monkeypatch.setattr(plotting, "save", lambda figure, stem: (drawn.append(figure), save(figure, stem))[1])
    for seed in (1, 2):
        for rate, value in ((0.1, 0.6), (0.01, 0.7), (1.0, 0.5)):
            for k in (5, 10):
                score = value + 0.1 * seed - (0.2 if k == 10 else 0)
                write_run(tmp_path, "lookahead", seed, {"slow": score}, optimizer={"lr": rate, "k": k})
            write_run(
                tmp_path, "sgd", seed, {"fast": value}, "diverged" if rate == 1 else "done", optimizer={"lr": rate}
            )
    write_run(tmp_path, "adam", 1, {"fast": 0.9})  # of one value there is no sensitivity, but it has a place
    of = stored(tmp_path)
    assert sensitivity.swept(of) == ["lr"]
    (path,) = sensitivity.draw_sensitivity(of, tmp_path / "digits", "digits")
    assert path == tmp_path / "digits-lr.png"
    assert path.stat().st_size > 10_000
    (ax,) = drawn[0].get_axes()
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(lines["Lookahead"].get_xdata()) == [0.01, 0.1, 1.0]
    assert list(lines["Lookahead"].get_ydata()) == pytest.approx([0.85, 0.75, 0.65])  # k=5 is the better one
    assert list(lines["SGD"].get_xdata()) == [0.01, 0.1]
    (cross,) = (line for line in ax.lines if line.get_marker() == "x")
    assert list(cross.get_xdata()) == [1.0]
    full = sorted(line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1 and line.get_marker() != "x")
    assert full == [0.01, 0.01, 0.1, 0.1]  # what lookahead and sgd chose, and adam's only one, once hollow
    assert ax.get_xscale() == "log"


def test_lists_and_two_values_are_no_sweep(tmp_path: Path) -> None:
    for k in ([5, 5], [5, 10], [10, 10]):
        write_run(tmp_path, "multilayer", 1, {"slow": 0.5}, optimizer={"k": k})
    for rate in (0.1, 0.2):
        write_run(tmp_path, "sgd", 1, {"fast": 0.5}, optimizer={"lr": rate})
    assert sensitivity.draw_sensitivity(stored(tmp_path), tmp_path / "digits", "digits") == []


def test_every_problem_has_a_panel(tmp_path: Path) -> None:
    for budget in (10, 20):
        for rate in (0.1, 0.2, 0.3):
            write_run(tmp_path, "sgd", 1, {"fast": rate}, max_steps=budget, optimizer={"lr": rate})
    of = stored(tmp_path)
    assert [one.text for one in of] == ["max_steps=10", "max_steps=20"]
    assert [x for x, _ in sensitivity.points("lr", of[1], "sgd")] == [0.1, 0.2, 0.3]

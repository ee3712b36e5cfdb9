"""Tables from runs made by hand: which setting is chosen, who is bold, what is counted, scales apart, every format."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from stored_runs import write_run

from lookahead_bench.cli import command
from lookahead_bench.report import report as reports


@pytest.fixture
def drawn() -> None:
    """Asked for by a test that looks at figures."""


def no_curve(*_: object) -> None:
    return None


def no_figures(*_: object) -> list[Path]:
    return []


@pytest.fixture(autouse=True)
def few_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half a second."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(reports, "draw_curves", no_curve)
        monkeypatch.setattr(reports, "draw_sensitivity", no_figures)


def report(results: Path, *words: str) -> None:
    assert command(["report", f"results_dir={results}", *words]) == 0


def table(results: Path, name: str = "digits-cpu-mlp") -> dict[str, dict[str, str]]:
    """The Markdown's lines by `optimizer`, and where there are several of one by `optimizer settings`."""
    text = (results / "report" / f"{name}.md").read_text()
    head, _, *rows = ([c.strip() for c in row.strip("|\n").split("|")] for row in text.splitlines() if row[:1] == "|")
    lines = [dict(zip(head, row, strict=True)) for row in rows]
    names = [line["optimizer"] for line in lines]
    return {n if names.count(n) == 1 else f"{n} {line['settings']}": line for n, line in zip(names, lines, strict=True)}


def numbers(results: Path, name: str = "digits-cpu-mlp") -> list[dict[str, str]]:
    with (results / "report" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_slow_weights_are_reported_and_what_did_not_end_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], drawn: None
) -> None:
    for seed, value in ((1, 0.90), (2, 0.92), (3, 0.94)):
        write_run(tmp_path, "lookahead", seed, {"fast": value - 0.2, "slow": value})
    write_run(tmp_path, "lookahead", 4, {"fast": "nan", "slow": 0.01}, status="diverged")
    write_run(tmp_path, "lookahead", 5, {"fast": 0.02, "slow": 0.02}, status="failed")
    write_run(tmp_path, "lookahead", 6, {"fast": 0.03, "slow": 0.03}, status="running")  # nobody holds it
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "adam", 1, {"fast": "inf"}, status="diverged")
    report(tmp_path)
    lines = table(tmp_path)
    assert list(lines) == ["sgd", "lookahead", "adam"]  # those without a diverged run first, then by the metric
    lookahead = lines["lookahead"]
    width = 4.3026527 * 0.02 / math.sqrt(3)  # t(0.975, 2) s / sqrt(3)
    assert lookahead["test accuracy in %"] == f"92.00 ± {100 * width:.2f}"
    assert lookahead["of the fast weights"] == f"72.00 ± {100 * width:.2f}"
    assert (lookahead["weights"], lookahead["sd"]) == ("slow", "2.00")
    assert [lookahead[k] for k in ("seeds", "diverged", "failed", "interrupted")] == ["3", "1", "1", "1"]
    assert "running" not in lookahead
    assert lines["sgd"]["test accuracy in %"] == "**50.00**"  # one seed: no interval
    assert (lines["adam"]["test accuracy in %"], lines["adam"]["diverged"]) == ("", "1")
    assert [lookahead[c] for c in ("oracle calls", "samples", "seconds")] == ["10", "640", "5.0"]
    shown = capsys.readouterr().out
    assert "92.00" in shown
    assert "of one seed its value, with neither interval nor test" in shown
    for suffix in (".md", ".csv", ".tex", ".png", ".pdf"):
        assert (tmp_path / "report" / f"digits-cpu-mlp{suffix}").stat().st_size > 0


def grid(results: Path, method: str, rates: dict[float, float], seeds: int = 3, **more: Any) -> None:
    """rates: rate -> validation accuracy; on test the order is the other one."""
    for rate, value in rates.items():
        for seed in range(seeds):
            write_run(results, method, seed, {"fast": 0.95 - value / 2 + 0.01 * seed}, val=value + 0.01 * seed,
                      optimizer={"lr": rate, **more})  # fmt: skip


def test_one_line_a_method_at_the_settings_that_validation_chose(tmp_path: Path) -> None:
    grid(tmp_path, "sgd", {0.1: 0.8, 0.3: 0.5, 0.03: 0.7, 0.01: 0.6})
    grid(tmp_path, "adam", {0.001: 0.5, 0.01: 0.6, 0.1: 0.7})
    for seed in (0, 1):  # fewer than the rest, and better only where they are compared with all
        write_run(tmp_path, "sgd", seed + 5, {"fast": 0.1}, val=0.99, optimizer={"lr": 0.03})
    report(tmp_path)
    lines = table(tmp_path)
    assert {name: line["settings"] for name, line in lines.items()} == {"adam": "lr=0.1 (most tried)", "sgd": "lr=0.1"}
    assert [line["tried"] for line in lines.values()] == ["3", "4"]
    report(tmp_path, "all=true")
    rates = [line["settings"] for line in table(tmp_path).values()]
    assert rates == ["lr=0.001 (least tried)", "lr=0.01", "lr=0.1 (most tried)",
                     "lr=0.01 (least tried)", "lr=0.03", "lr=0.1", "lr=0.3 (most tried)"]  # fmt: skip
    assert [line["chosen"] for line in table(tmp_path).values()] == ["", "", "yes", "", "", "yes", ""]
    assert [row["chosen"] for row in numbers(tmp_path)] == [str(row["lr"] == "0.1") for row in numbers(tmp_path)]


def test_a_setting_with_a_diverged_seed_is_not_chosen_while_another_has_none(tmp_path: Path) -> None:
    grid(tmp_path, "sgd", {0.1: 0.8, 0.3: 0.9})
    write_run(tmp_path, "sgd", 3, {"fast": "nan"}, status="diverged", optimizer={"lr": 0.3})
    report(tmp_path)
    assert table(tmp_path)["sgd"]["settings"] == "lr=0.1"


def test_the_best_is_bold_and_so_is_what_the_test_does_not_tell_from_it(tmp_path: Path) -> None:
    """Over four seeds: a is the best, b as good by the paired test, c behind in every seed alike; d has one seed."""
    noise = [0.00, 0.05, -0.05, 0.02]
    for seed, shared in enumerate(noise):
        write_run(tmp_path, "a", seed, {"fast": 0.80 + shared})
        write_run(tmp_path, "b", seed, {"fast": 0.79 - shared})
        write_run(tmp_path, "c", seed, {"fast": 0.70 + shared + 0.001 * seed})
    write_run(tmp_path, "d", 0, {"fast": 0.1})
    report(tmp_path)
    lines = table(tmp_path)
    assert {name: line["test accuracy in %"].startswith("**") for name, line in lines.items()} == {
        "a": True, "b": True, "c": False, "d": False,
    }  # fmt: skip
    assert (lines["a"]["p"], lines["d"]["p"], lines["d"]["less the best"]) == ("", "", "-70.00")
    assert lines["c"]["less the best"].startswith("-9.85 ± ")
    assert float(lines["c"]["p"]) < 0.05 < float(lines["b"]["p"])
    (c,) = (row for row in numbers(tmp_path) if row["optimizer"] == "c")
    assert float(c["p corrected"]) == pytest.approx(2 * float(c["p"]))  # of two tests the smaller
    assert (c["best"], c["test"], c["common seeds"], c["seeds to decide"]) == ("False", "t", "4", "3")
    latex = (tmp_path / "report" / "digits-cpu-mlp.tex").read_text()
    assert latex.count(r"\textbf{") == 2
    assert all(rf"\{rule}rule" in latex for rule in ("top", "mid", "bottom"))
    assert r"$\pm$" in latex
    assert "±" not in latex.partition(r"\begin")[2]


def test_another_problem_is_a_block_of_its_own(tmp_path: Path) -> None:
    for budget, good in ((10, "sgd"), (20, "adam")):
        for name in ("sgd", "adam"):
            write_run(tmp_path, name, 1, {"fast": 0.9 if name == good else 0.8}, max_steps=budget)
    write_run(tmp_path, "sgd", 1, {"fast": 0.9}, max_steps=10, evaluate_every="1steps")  # the same run, looked at more
    report(tmp_path)
    lines = [tuple(row[c] for c in ("max_steps", "optimizer", "best", "seeds")) for row in numbers(tmp_path)]
    assert lines == [("10", "sgd", "True", "1"), ("10", "adam", "False", "1"),
                     ("20", "adam", "True", "1"), ("20", "sgd", "False", "1")]  # fmt: skip
    assert (tmp_path / "report" / "digits-cpu-mlp.tex").read_text().count(r"\midrule") == 2


def test_the_trials_of_a_search_are_counted_as_tried_and_stand_in_no_line(tmp_path: Path) -> None:
    for number in range(4):
        write_run(tmp_path, "sgd", 11, {"fast": 0.9}, studies=[f"s/trials/sgd/{number}"], optimizer={"lr": 1 + number})
    for seed in (1, 2, 3):
        write_run(tmp_path, "sgd", seed, {"fast": 0.8}, studies=["s/finals/sgd/2"], optimizer={"lr": 3})
    report(tmp_path)
    (row,) = numbers(tmp_path)
    assert (row["lr"], row["seeds"], row["tried"], float(row["test accuracy"])) == ("3", "3", "4", pytest.approx(0.8))


@pytest.mark.parametrize("form", ["md", "tex", "csv"])
def test_the_table_alone_is_printed_in_a_form_that_is_asked_for(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, "sgd", {0.1: 0.8, 0.3: 0.5})
    write_run(tmp_path, "sgd", 1, {"fast": 0.5}, scale="paper")
    report(tmp_path, f"format={form}")
    printed = capsys.readouterr().out
    names = ["digits-cpu-mlp", "digits-paper-mlp"]
    assert printed.split() == "".join((tmp_path / "report" / f"{n}.{form}").read_text() for n in names).split()


def test_a_wrong_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word, rule in (("format=latex", "is none of term, md, tex, csv"), ("all=yes", "is none of true, false")):
        assert command(["report", f"results_dir={tmp_path}", word]) == 2
        assert f"{word}: {rule}" in capsys.readouterr().err


def test_a_task_without_validation_says_what_it_was_chosen_on(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        write_run(tmp_path, "sgd", 1, {"fast": rate}, dataset={"name": "quadratic"}, optimizer={"lr": rate})
    report(tmp_path)
    assert "mean on test (the task has no other split)" in (tmp_path / "report" / "quadratic-cpu-mlp.md").read_text()


def test_scales_never_share_a_table(tmp_path: Path) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "sgd", 1, {"fast": 0.9}, scale="paper")
    report(tmp_path)
    for name, score in (("digits-cpu-mlp", "0.5"), ("digits-paper-mlp", "0.9")):
        assert [row["test accuracy"] for row in numbers(tmp_path, name)] == [score]


def test_another_rule_of_scoring_is_told_and_a_run_from_before_the_key_had_the_first(tmp_path: Path) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "sgd", 2, {"fast": 0.7}, batchnorm="mixed")
    write_run(tmp_path, "lookahead", 1, {"slow": 0.8}, batchnorm="estimated")
    report(tmp_path)
    rows = [(row["batchnorm"], row["optimizer"], row["seeds"]) for row in numbers(tmp_path)]
    assert rows == [("estimated", "lookahead", "1"), ("mixed", "sgd", "2")]


def test_only_one_dataset_scale_or_optimizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sgd", "adam", "radam"):
        write_run(tmp_path, name, 1, {"fast": 0.5})
    report(tmp_path, "scale=cpu", "optimizer=sgd,radam")
    assert sorted(table(tmp_path)) == ["radam", "sgd"]
    assert command(["report", f"results_dir={tmp_path}", "scale=paper"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no runs of these" in line


def test_nothing_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report", f"results_dir={tmp_path}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert command(["status", f"results_dir={tmp_path}"]) == 0


def test_status_says_what_every_run_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, status in enumerate(("done", "diverged", "failed", "interrupted", "running")):
        write_run(tmp_path, "sgd", seed, {"fast": 0.5}, status=status)
    assert command(["status", f"results_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "1 diverged, 1 done, 1 failed, 2 interrupted" in shown
    assert shown.count("digits-sgd-s") == 5


def test_what_a_target_costs_and_who_lost_it_again(tmp_path: Path) -> None:
    """Three methods end at 0.6, 0.8 and 0.9, so that 0.8 is the target."""
    curves = {"slow": [0.1, 0.2, 0.5, 0.6], "middle": [0.1, 0.9, 0.5, 0.8], "quick": [0.1, 0.85, 0.9, 0.9]}
    for seed in (1, 2, 3):
        for name, curve in curves.items():
            mine = [*curve[:3], 0.7] if (name, seed) == ("middle", 1) else curve
            write_run(tmp_path, name, seed, {"fast": mine[-1]}, curves={"fast": mine})
    write_run(tmp_path, "quick", 4, {"fast": "nan"}, status="diverged", curves={"fast": [0.1, 0.9, 0.95, 0.99]})
    report(tmp_path)
    lines = table(tmp_path)
    assert {line["target"] for line in lines.values()} == {"76.67"}
    assert {name: line["reached by"] for name, line in lines.items()} == {
        "middle": "3 of 3, 1 lost it", "slow": "0 of 3", "quick": "3 of 4",
    }  # fmt: skip
    assert [lines[name]["oracle calls to it"] for name in curves] == ["never", "10", "10"]
    assert [lines[name]["seconds to it"] for name in curves] == ["never", "5.0", "5.0"]


def test_methods_over_several_problems(tmp_path: Path, drawn: None) -> None:
    early, late = [0.1, 0.9, 0.9, 0.9], [0.1, 0.2, 0.3, 0.91]
    for budget in (30, 31, 32):
        for name, curve in (("a", early), ("b", late if budget == 30 else [0.1, 0.1, 0.1, 0.2])):
            write_run(tmp_path, name, 1, {"fast": curve[-1]}, curves={"fast": curve}, max_steps=budget)
        write_run(tmp_path, "c", 1, {"fast": 0.1}, max_steps=30) if budget == 30 else None
    report(tmp_path)
    lines = table(tmp_path, "problems")
    assert [lines["a"][c] for c in ("cheapest", "within 2 x", "within 4 x")] == ["100%"] * 3
    assert [lines["b"][c] for c in ("cheapest", "within 2 x", "within 4 x")] == ["0%", "0%", "33%"]
    assert [line["target not reached"] for line in lines.values()] == ["0", "2"]
    assert lines["a"]["mean rank"].startswith("1.33 (1 to 2)")
    assert "c" not in lines
    assert (tmp_path / "report" / "problems.png").stat().st_size > 5_000

"""Tables: means and intervals checked by hand, failures counted, scales apart."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from lookahead_bench.cli import command
from lookahead_bench.report.stats import mean


def test_the_interval_by_hand() -> None:
    found = mean([1.0, 2.0, 3.0, 6.0])  # mean 3, s^2 = (4 + 1 + 0 + 9) / 3, t(0.975, 3) = 3.1824463
    assert (found.value, found.n) == (3.0, 4)
    assert found.half_width == pytest.approx(3.1824463 * math.sqrt(14 / 3) / 2, rel=1e-7)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert (mean([0.5]).value, mean([0.5]).half_width, mean([0.5]).text("loss")) == (0.5, None, "0.5")
    assert mean([]).text("loss") == "-"
    assert mean([50.39, 50.40]).text("loss") == "50.395 ± 0.064"
    assert mean([1e-9, 3e-9]).text("loss") == "2e-09 ± 1.3e-08"
    assert mean([123456.0, 123457.0]).text("loss") == "123456.5 ± 6.4"
    assert mean([0.9, 0.9]).text("accuracy") == "90.00 ± 0.00 %"
    assert mean([math.nan, 1.0]).text("loss").startswith("nan")  # never left out


def write_run(
    results: Path, name: str, seed: int, scores: dict[str, Any], status: str = "done", **scientific: Any
) -> None:
    """A run's files by hand. scores: {"slow": accuracy of the test set, ...}."""
    path = results / "runs" / f"digits-{name}-s{seed}-{abs(hash(str(sorted(scientific.items())))) % 10**8:08d}"
    path.mkdir(parents=True)
    optimizer = {"name": name, "lr": 0.1} | scientific.pop("optimizer", {})
    config = {"seed": seed, "scale": "cpu", "dataset": {"name": "digits"}, "optimizer": optimizer,
              "model": {"name": "mlp"},
              "schedule": {"name": "constant"}, **scientific}  # fmt: skip
    (path / "config.yaml").write_text(yaml.safe_dump({"scientific": config, "execution": {}}))
    record = {"status": status, "metric": "accuracy", "direction": "max", "final": {}, "best": None}
    record |= {"step": 10, "oracle_calls": 10, "samples": 10, "seconds": {"train": 5.0}}
    (path / "run.json").write_text(json.dumps(record))
    lines = []
    for step in (0, 10):
        for weights, value in scores.items():
            for split in ("val", "test"):
                shown = value if step else 0.1
                lines.append({"step": step, "oracle_calls": step, "samples": step, "epoch": step / 10,
                              "seconds": 0.5 * step,
                              "split": split, "weights": weights, "loss": 1.0, "accuracy": shown})  # fmt: skip
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def table(results: Path, name: str) -> dict[str, dict[str, str]]:
    with (results / "report" / f"{name}.csv").open() as file:
        return {line["optimizer"]: line for line in csv.DictReader(file)}


def test_slow_weights_are_reported_and_what_did_not_end_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, value in ((1, 0.90), (2, 0.92), (3, 0.94)):
        write_run(tmp_path, "lookahead", seed, {"fast": value - 0.2, "slow": value})
    write_run(tmp_path, "lookahead", 4, {"fast": "nan", "slow": 0.01}, status="diverged")
    write_run(tmp_path, "lookahead", 5, {"fast": 0.02, "slow": 0.02}, status="failed")
    write_run(tmp_path, "lookahead", 6, {"fast": 0.03, "slow": 0.03}, status="running")  # nobody holds it
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "adam", 1, {"fast": "inf"}, status="diverged")
    assert command(["report", f"results_dir={tmp_path}"]) == 0
    lines = table(tmp_path, "digits-cpu-mlp")
    lookahead = lines["lookahead"]
    width = 4.3026527 * 0.02 / math.sqrt(3)  # t(0.975, 2) s / sqrt(3)
    assert lookahead["test accuracy"] == f"92.00 ± {100 * width:.2f} %"
    assert lookahead["of the fast weights"] == f"72.00 ± {100 * width:.2f} %"
    assert lookahead["weights"] == "slow"
    assert [lookahead[k] for k in ("runs", "diverged", "failed", "interrupted")] == ["6", "1", "1", "1"]
    assert "running" not in lookahead
    assert lines["sgd"]["test accuracy"] == "50.00 %"  # one seed: no interval
    assert (lines["adam"]["test accuracy"], lines["adam"]["diverged"]) == ("", "1")
    shown = capsys.readouterr().out
    assert "92.00" in shown
    for suffix in (".md", ".csv", ".tex", ".png", ".pdf"):
        assert (tmp_path / "report" / f"digits-cpu-mlp{suffix}").stat().st_size > 0
    latex = (tmp_path / "report" / "digits-cpu-mlp.tex").read_text()
    assert r"\%" in latex
    assert "±" not in latex


def test_scales_never_share_a_table(tmp_path: Path) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "sgd", 1, {"fast": 0.9}, scale="paper")
    assert command(["report", f"results_dir={tmp_path}"]) == 0
    assert table(tmp_path, "digits-cpu-mlp")["sgd"]["test accuracy"] == "50.00 %"
    assert table(tmp_path, "digits-paper-mlp")["sgd"]["test accuracy"] == "90.00 %"


def test_settings_that_differ_are_lines_of_their_own(tmp_path: Path) -> None:
    """The first run has no k: the names of columns come from more than one run."""
    write_run(tmp_path, "adam", 1, {"fast": 0.5})
    for seed in (1, 2):
        for k, value in ((5, 0.6), (10, 0.8)):
            write_run(tmp_path, "lookahead", seed, {"fast": 0.1, "slow": value}, optimizer={"k": k})
    write_run(tmp_path, "sgd", 1, {"fast": 0.5}, epochs=3)
    write_run(tmp_path, "sgd", 1, {"fast": 0.7}, epochs=4)
    assert command(["report", f"results_dir={tmp_path}"]) == 0
    lines = table(tmp_path, "digits-cpu-mlp")
    scores = {name: line["test accuracy"] for name, line in lines.items()}
    assert scores == {
        "adam": "50.00 %", "lookahead k=5": "60.00 ± 0.00 %", "lookahead k=10": "80.00 ± 0.00 %",
        "sgd epochs=3": "50.00 %", "sgd epochs=4": "70.00 %",
    }  # fmt: skip


def test_another_rule_of_scoring_is_told_and_a_run_from_before_the_key_had_the_first(tmp_path: Path) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    write_run(tmp_path, "sgd", 2, {"fast": 0.7}, batchnorm="mixed")
    write_run(tmp_path, "lookahead", 1, {"slow": 0.8}, batchnorm="estimated")
    assert command(["report", f"results_dir={tmp_path}"]) == 0
    lines = table(tmp_path, "digits-cpu-mlp")
    assert {name: line["runs"] for name, line in lines.items()} == {
        "lookahead batchnorm=estimated": "1", "sgd batchnorm=mixed": "2",
    }  # fmt: skip


def test_only_one_dataset_or_scale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "sgd", 1, {"fast": 0.5})
    assert command(["report", f"results_dir={tmp_path}", "scale=cpu"]) == 0
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

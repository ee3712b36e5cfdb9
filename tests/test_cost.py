"""What runs will cost is told beforehand: from finished ones of the same kind, else from steps timed once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import DIGITS

from lookahead_bench import configuration, cost, run, studies
from lookahead_bench.cli import command
from lookahead_bench.report import plan
from lookahead_bench.runs.files import write_json

SWEEP = ["-m", "optimizer=sgd,extragradient", "seed=1,2", "dataset=quadratic_game", "max_steps=40", "tracker=none"]


def test_a_dry_run_times_what_nobody_knows_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = [*SWEEP, f"results_dir={tmp_path}"]
    assert command(["--dry-run", *sweep]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("timed") == 4
    assert out.splitlines()[-1].startswith("4 runs, 0 done, 4 to do: 240 oracle calls, ")  # two calls a step
    assert not (tmp_path / "runs").exists()
    assert len(list((tmp_path / "timings").iterdir())) == 2  # one a kind
    again = subprocess.run(
        [sys.executable, "-c", "import sys; from lookahead_bench.cli import command; code = command(sys.argv[1:]); "
         "sys.exit('torch' in sys.modules or code)", "--dry-run", *sweep], capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert again.stdout == out


def test_finished_runs_are_the_best_estimate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"results_dir={tmp_path}"
    done = run(["optimizer=sgd", *DIGITS, "seed=7", place])
    other = configuration.load(
        ["optimizer=sgd", *DIGITS, "max_steps=3000", "optimizer.lr=0.3", "schedule=constant", place]
    )
    pace = cost.known(other)
    assert pace is not None
    assert pace.source == done.run_id
    seconds = done.record["seconds"]
    expected = cost.cost(other, pace)
    assert expected.steps == expected.oracle_calls == 3000
    training = (seconds["train"] + seconds["io"]) * 100
    assert training <= expected.seconds <= training + seconds["eval"] * 100
    assert cost.known(configuration.load(["optimizer=sgd", "model.hidden=[9]", "max_steps=30", place])) is None
    capsys.readouterr()
    assert command(["--dry-run", "optimizer=sgd", *DIGITS, "seed=7", place]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 runs, 1 done"
    monkeypatch.setattr(plan, "LONG", 1e-3)
    assert command(["optimizer=sgd", *DIGITS, "seed=8", place]) == 0
    assert f" for 30 steps, judging by {done.run_id}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("every", "steps", "expected"), [(None, 100, 2), ("1 epochs", 30, 3), ("10 steps", 30, 4), ("7 steps", 30, 6)]
)
def test_how_often_a_run_is_scored(every: str | None, steps: int, expected: int) -> None:
    assert cost.evaluations(every, steps, steps / 18, steps) == expected


def test_many_runs_are_put_together_by_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LINES", 3)
    place = f"results_dir={tmp_path}"
    base = ["optimizer=sgd", "dataset=quadratic_game", "tracker=none", place]
    config = configuration.load([*base, "max_steps=10"])
    pace = cost.Pace(2.0, 1.0, 3.0, 1.0, 0.0, 1e6, 10.0, "timed")
    cost.keep(config, pace)
    assert command(["--dry-run", "-m", "seed=1,2", "optimizer.lr=0.1,0.2", "max_steps=10,1000", *base]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "quadratic_game-sgd" in lines[-3]
    assert lines[-1] == "8 runs, 0 done, 8 to do: 4,040 oracle calls, 2.3 h one after another, 8.04 MB"


def test_a_large_sweep_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "MANY", 3)
    sweep = [*SWEEP, f"results_dir={tmp_path}"]
    assert command(sweep) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a sweep of 4 runs, of which 4 are to do: confirm=true starts it" in line
    assert not (tmp_path / "runs").exists()
    assert command([*sweep, "confirm=true"]) == 0
    assert command(sweep) == 0  # nothing is left to do


def test_a_damaged_timing_is_none(tmp_path: Path) -> None:
    config = configuration.load(["optimizer=sgd", f"results_dir={tmp_path}"])
    cost.place(config).parent.mkdir()
    write_json(cost.place(config), {"pace": {"step": 1}})
    assert cost.known(config) is None

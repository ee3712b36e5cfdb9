"""W&B is a mirror: whatever it does, the run completes, its numbers are the same, and there is one warning."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tiny_runs import DIGITS, assert_same_run, start

from lookahead_bench import run
from lookahead_bench.runs.run import RunResult
from lookahead_bench.runs.store import read_rows
from lookahead_bench.runs.tracker import wandb_row

RUN = ["optimizer=lookahead", *(o for o in DIGITS if o != "tracker=none")]


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, "tracker=none", f"results_dir={tmp_path_factory.mktemp('untracked')}"])


class Wandb(ModuleType):
    """A W&B that keeps what it is told, and fails where it should."""

    def __init__(self, failing: str) -> None:
        super().__init__("wandb")
        self.failing, self.rows, self.finished, self.asked = failing, [], [], {}  # type: ignore[var-annotated]
        self.summary = SimpleNamespace(update=lambda values: self.may("summary"))

    def may(self, what: str) -> None:
        if what == self.failing:
            raise ConnectionError(f"{what}: the network is down")

    def init(self, **asked: Any) -> Wandb:
        self.may("init")
        self.asked = asked
        return self

    def Settings(self, **settings: Any) -> dict[str, Any]:
        return settings

    def define_metric(self, *args: Any, **kwargs: Any) -> None:
        self.may("define_metric")

    def log(self, row: dict[str, Any], step: int) -> None:
        self.may("log")
        self.rows.append((step, row))

    def finish(self, exit_code: int) -> None:
        self.may("finish")
        self.finished.append(exit_code)


@pytest.mark.parametrize("failing", ["init", "define_metric", "log", "summary", "finish", "import"])
def test_a_failing_mirror_changes_nothing_and_warns_once(
    failing: str,
    untracked: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None if failing == "import" else Wandb(failing))
    with caplog.at_level(logging.WARNING, "lookahead_bench"):
        assert_same_run(untracked, run([*RUN, f"results_dir={tmp_path}"]))
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "W&B is not following this run" in warning
    assert failing == "import" or "the network is down" in warning


def test_what_the_mirror_is_told(untracked: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb("")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    result = run([*RUN, f"results_dir={tmp_path}"])
    assert_same_run(untracked, result)
    assert wandb.asked["id"] == result.run_id
    assert wandb.asked["mode"] == "offline"
    assert Path(wandb.asked["dir"]) == result.path
    assert wandb.rows == [(i, wandb_row(row)) for i, row in enumerate(read_rows(result.path / "metrics.jsonl"))]
    assert wandb.finished == [0]


def test_the_mirror_gets_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb("")
    wandb.Image = lambda picture, caption: (picture.shape, caption)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(["dataset=polar_game", "optimizer=lookahead", "max_steps=7", f"results_dir={tmp_path}"])
    pictures = [row for _, row in wandb.rows if "samples/fast" in row]
    assert pictures == [{"samples/fast": ((450, 450, 3), "trajectory")}]


def test_with_a_key_the_mirror_is_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb("")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run([*RUN, "max_steps=1", f"results_dir={tmp_path}"])
    assert wandb.asked["mode"] == "online"
    assert wandb.asked["settings"]["init_timeout"] <= 10
    monkeypatch.setenv("WANDB_MODE", "offline")  # the user's own word
    run([*RUN, "max_steps=1", "force=true", f"results_dir={tmp_path}"])
    assert wandb.asked["mode"] == "offline"


def test_a_failing_run_tells_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb("")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "faults")
    with pytest.raises(RuntimeError, match="fifth step"):
        run([*RUN, "optimizer.base._target_=fault_optimizers.Raises", f"results_dir={tmp_path}"])
    assert wandb.finished == [1]


def test_the_real_one_offline(untracked: RunResult, tmp_path: Path) -> None:
    """A command of its own: W&B has processes and threads."""
    pytest.importorskip("wandb")
    home = tmp_path / "home"
    home.mkdir()
    process = start(
        [*RUN, f"results_dir={tmp_path}"], tmp_path / "output", WANDB_API_KEY="", NETRC="/none", HOME=str(home)
    )
    process.join(100)
    assert process.exitcode == 0, (tmp_path / "output").read_text()
    assert "W&B" not in (tmp_path / "output").read_text()
    assert_same_run(untracked, run([*RUN, f"results_dir={tmp_path}"]))
    assert list((tmp_path / "runs").glob("*/wandb/offline-run-*/*.wandb"))
    assert not list(home.iterdir())

"""W&B is a mirror: whatever it does, the run completes, its numbers are the same, and there is one warning."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tiny_runs import DIGITS, assert_same_run, start

from lookahead_bench import run
from lookahead_bench.runs import tracker
from lookahead_bench.runs.run import RunResult
from lookahead_bench.runs.store import read_rows
from lookahead_bench.runs.tracker import wandb_row

RUN = ["optimizer=lookahead", *(o for o in DIGITS if o != "tracker=none")]


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, "tracker=none", f"results_dir={tmp_path_factory.mktemp('untracked')}"])


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is told once in a process; every test here begins as a new one does."""
    monkeypatch.setattr(tracker, "LINE", tracker.Line())


class Wandb(ModuleType):
    """A W&B that keeps what it is told, and fails where it should."""

    def __init__(self, failing: str) -> None:
        super().__init__("wandb")
        self.failing, self.rows, self.finished, self.asked = failing, [], [], {}  # type: ignore[var-annotated]
        self.summary = SimpleNamespace(update=lambda values: self.may("summary"))

    def may(self, what: str) -> None:
        if self.failing == f"exit in {what}":
            raise SystemExit(f"{what}: the network is down")
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


@pytest.mark.parametrize("failing", ["init", "define_metric", "log", "summary", "finish", "import", "exit in init"])
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
        run([*RUN, "seed=2", "max_steps=1", f"results_dir={tmp_path}"])  # it is not tried again
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "W&B is not following" in warning
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


class Answers(BaseHTTPRequestHandler):
    """Every request gets the answer of a server that is broken."""

    def do_POST(self) -> None:
        self.send_response(500)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def server(kind: str) -> Iterator[str]:
    """The address of a W&B that is closed, answers nothing, or answers HTTP 500."""
    if kind == "HTTP 500":
        broken = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{broken.server_port}"
        broken.shutdown()
        broken.server_close()
        return
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if kind != "closed":
            listening.listen(50)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def be_impatient() -> None:
    tracker.PATIENCE = 3


@pytest.mark.parametrize("fault", ["closed", "answerless", "HTTP 500", "a garbage key", "unwritable folders"])
def test_the_real_one_within_its_time(fault: str, untracked: RunResult, tmp_path: Path) -> None:
    """A sweep of three: one wait, one line, and the exit status, for all of them together."""
    sweep = ["-m", "seed=1,2,3", *RUN, f"results_dir={tmp_path}/results"]
    environment = {"WANDB_API_KEY": "0" * 40, "HOME": str(tmp_path), "WANDB_MODE": "online"}
    if fault == "a garbage key":
        environment["WANDB_API_KEY"] = "rubbish"
    if fault == "unwritable folders":
        environment |= {f"WANDB_{folder}_DIR": "/proc/nowhere" for folder in ("CACHE", "CONFIG", "DATA")}
    begun = time.monotonic()
    start([*sweep, "tracker=none", "force=true"], tmp_path / "plain").join(60)
    plain = time.monotonic() - begun
    with server(fault) as address:
        begun = time.monotonic()
        process = start([*sweep, "force=true"], tmp_path / "output", prepare=be_impatient, WANDB_BASE_URL=address,
                        **environment)  # fmt: skip
        process.join(60)
        assert time.monotonic() - begun < plain + 3 + 4  # the patience, and the machine's
    assert process.exitcode == 0
    said = (tmp_path / "output").read_text().splitlines()
    (warning,) = [line for line in said if not line.startswith("digits-lookahead-s")][:-1]
    assert "W&B is not following" in warning
    assert_same_run(untracked, run([*RUN, f"results_dir={tmp_path}/results"]))


def test_the_end_of_the_process_does_not_wait_for_an_answerless_one(tmp_path: Path) -> None:
    code = (
        "import sys, time; from lookahead_bench.cli import command; from lookahead_bench.runs import tracker\n"
        "tracker.PATIENCE = 3; status = command(sys.argv[1:]); print('end', time.time(), flush=True); sys.exit(status)"
    )
    with server("answerless") as address:
        environment = os.environ | {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40, "WANDB_MODE": "online"}
        done = subprocess.run([sys.executable, "-c", code, *RUN, f"results_dir={tmp_path}"], env=environment,
                              capture_output=True, text=True, timeout=120)  # fmt: skip
        ended = time.time()
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert ended - float(done.stdout.split()[-1]) < 3

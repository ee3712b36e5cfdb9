"""W&B is a mirror: whatever it does, the run completes, its numbers are the same, and there is one warning."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from tiny_runs import DIGITS, assert_same_run, start

from lookahead_bench import run
from lookahead_bench.runs import tracker
from lookahead_bench.runs.run import RunResult
from lookahead_bench.runs.store import read_rows
from lookahead_bench.runs.tracker import wandb_row

pytestmark = pytest.mark.fault("trackers")

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


@pytest.mark.control
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


@pytest.mark.control
def test_the_mirror_gets_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb("")
    wandb.Image = lambda picture, caption: (picture.shape, caption)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(["dataset=polar_game", "optimizer=lookahead", "max_steps=7", f"results_dir={tmp_path}"])
    pictures = [row for _, row in wandb.rows if "samples/trajectory" in row]
    assert pictures == [{"samples/trajectory": ((450, 450, 3), "trajectory")}]


@pytest.mark.control
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


@pytest.mark.control
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


class Broken(BaseHTTPRequestHandler):
    """Every request gets the answer of a server that is broken."""

    def do_POST(self) -> None:
        self.send_response(500)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Nothing."""


class Dies(Broken):
    """Takes a run, and answers nothing any more when its rows come."""

    BUCKET: ClassVar = {"id": "x", "name": "n", "displayName": "n", "config": "{}", "historyLineCount": 0,
                        "project": {"name": "p", "entity": {"name": "e"}}}  # fmt: skip

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/graphql" or b"CreateRunFiles" in asked:
            time.sleep(30)
        answer = json.dumps({"data": {"upsertBucket": {"bucket": self.BUCKET, "inserted": True}, "model": None}})
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())


class Server(ThreadingHTTPServer):
    """Says nothing of clients that have left, who would turn up in the stderr of a later test of the same process."""

    daemon_threads, block_on_close = True, False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def server(kind: str) -> Iterator[str]:
    """The address of a W&B that is closed, answers nothing, answers HTTP 500, or dies in the middle."""
    if kind in ("HTTP 500", "dies"):
        broken = Server(("127.0.0.1", 0), Dies if kind == "dies" else Broken)
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


def be_impatient(waits: Path) -> None:
    """In the process of the runs: waits of at most three seconds, and how long they were, a line each."""
    wait = tracker.Line.wait

    def timed(self: tracker.Line, patience: float) -> None:
        begun = time.monotonic()
        wait(self, patience)
        with waits.open("a") as file:
            file.write(f"{time.monotonic() - begun}\n")

    tracker.PATIENCE, tracker.Line.wait = 3, timed  # type: ignore[method-assign]


@pytest.mark.parametrize("fault", ["closed", "answerless", "HTTP 500", "dies", "a garbage key", "unwritable folders"])
def test_the_real_one_within_its_time(fault: str, untracked: RunResult, tmp_path: Path) -> None:
    """A sweep of three: one wait, one line, and the exit status, for all of them together."""
    environment = {"WANDB_API_KEY": "0" * 40, "HOME": str(tmp_path), "WANDB_MODE": "online"}
    if fault == "a garbage key":
        environment["WANDB_API_KEY"] = "rubbish"
    if fault == "unwritable folders":
        environment |= {f"WANDB_{folder}_DIR": "/proc/nowhere" for folder in ("CACHE", "CONFIG", "DATA")}
    with server(fault) as address:
        process = start(["-m", "seed=1,2,3", *RUN, f"results_dir={tmp_path}/results"], tmp_path / "output",
                        partial(be_impatient, tmp_path / "waits"), WANDB_BASE_URL=address, **environment)  # fmt: skip
        process.join(100)
    assert process.exitcode == 0
    assert sum(map(float, (tmp_path / "waits").read_text().split())) < 3 + 1
    said = (tmp_path / "output").read_text().splitlines()
    (warning,) = [line for line in said if not line.startswith("digits-lookahead-s")][:-1]
    assert "W&B is not following" in warning
    assert_same_run(untracked, run([*RUN, f"results_dir={tmp_path}/results"]))

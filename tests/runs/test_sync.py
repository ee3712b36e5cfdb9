"""`lookahead-bench sync` with W&B's own client, against a server on this machine that keeps what it is told."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import DIGITS, rows, start

from lookahead_bench import run
from lookahead_bench.cli import command
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.sync import MARK

pytest.importorskip("wandb")


class Server(ThreadingHTTPServer):
    """As much of W&B as its client asks for: which runs there are, and the rows of each by their numbers."""

    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.groups: dict[str, str | None] = {}
        self.history: dict[str, dict[int, dict[str, Any]]] = {}
        self.exits: dict[str, int] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has left is nobody's trouble."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        self.server.asked.append(self.path)
        if found := re.fullmatch(r"/files/.*/([^/]+)/file_stream", self.path):
            self.answer(self.stream(found[1], said))
        else:
            self.answer({"data": self.graphql(said.get("query", ""), said.get("variables") or {})})

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.answer({})

    def do_GET(self) -> None:
        self.answer({})

    def stream(self, name: str, said: dict[str, Any]) -> dict[str, Any]:
        lines = (said.get("files") or {}).get("wandb-history.jsonl") or {"content": []}
        for line in lines["content"]:
            row = json.loads(line)
            self.server.history.setdefault(name, {})[row["_step"]] = row
        if said.get("complete"):
            self.server.exits[name] = said["exitcode"]
        return {}

    def graphql(self, query: str, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked.get("name") or asked.get("run") or ""
        history = self.server.history.get(name, {})
        bucket = {
            "id": name, "name": name, "displayName": name, "config": "{}", "tags": [], "notes": None,
            "historyLineCount": len(history), "eventsLineCount": 0, "logLineCount": 0, "sweepName": None,
            "historyTail": json.dumps([json.dumps(history[max(history)])] if history else []), "eventsTail": "[]",
            "summaryMetrics": "{}", "wandbConfig": json.dumps({"t": {"value": 1}}),
            "project": {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}},
        }  # fmt: skip
        if "upsertBucket" in query:
            self.server.groups.setdefault(name, asked.get("groupName"))  # later ones tell of the configuration only
            return {"upsertBucket": {"bucket": bucket, "inserted": not history}}
        if "createRunFiles" in query or "CreateRunFiles" in query:
            files = [{"name": one, "uploadUrl": f"http://{self.headers['host']}/{one}"} for one in asked["files"]]
            return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": files}}
        return {"model": {"bucket": bucket if history else None}}

    def answer(self, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


def test_what_is_stored_is_replayed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished run of a study, two replicas and a failed run, under their ids, row by row; twice is harmless."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "faults")
    place = f"results_dir={tmp_path}/results"
    done = run(["optimizer=lookahead", *DIGITS, "study=mine/one", place])
    run(["optimizer=sgd", *DIGITS, "replicas=2", place])
    with pytest.raises(RuntimeError):
        run(["optimizer=sgd", *DIGITS, "optimizer.base._target_=fault_optimizers.Raises", place])
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {"WANDB_API_KEY": "0" * 40, "HOME": str(tmp_path), "WANDB_MODE": "online",
                   "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}"}  # fmt: skip

    def sync() -> str:
        process = start(["sync", place], tmp_path / "output", **environment)
        process.join(200)
        assert process.exitcode == 0, (tmp_path / "output").read_text()
        return (tmp_path / "output").read_text()

    runs = {path.name: path for path in (tmp_path / "results" / "runs").iterdir()}
    assert len(runs) == 4
    assert sync() == "4 runs synced, 0 had been, 0 failed\n"
    assert server.history.keys() == runs.keys()
    for name, path in runs.items():
        told = [row for _, row in sorted(server.history[name].items())]
        for axis in ("step", "oracle_calls", "samples"):
            assert [row[axis] for row in told] == [row[axis] for row in rows(path)]
        assert server.exits[name] == ((read_json(path / "run.json") or {})["status"] == "failed")
    assert server.groups[done.run_id] == "mine/one"
    told = [row["val/slow/accuracy"] for row in server.history[done.run_id].values() if "val/slow/accuracy" in row]
    assert told == [row["accuracy"] for row in rows(done.path) if row["split"] == "val" and row["weights"] == "slow"]
    before, server.asked = dict(server.history), []
    assert sync() == "0 runs synced, 4 had been, 0 failed\n"
    assert server.asked == []
    (done.path / MARK).unlink()  # as if the machine had died before it was written
    assert sync() == "1 runs synced, 3 had been, 0 failed\n"
    assert server.history == before
    server.shutdown()
    server.server_close()


def test_runs_at_work_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["sync", f"results_dir={tmp_path}"]) == 1
    assert "has no runs to sync" in capsys.readouterr().err

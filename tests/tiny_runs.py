"""Runs that take a fraction of a second, what they leave behind, and processes that can be killed in the middle."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lookahead_bench.cli import main
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.compose import PLUGINS
from lookahead_bench.hardware import Machine
from lookahead_bench.runs.checkpoint import generations, load_newest
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.run import RunResult, execute
from lookahead_bench.tasks.base import Call, Task

DIGITS = ["model.hidden=[8]", "max_steps=30", "tracker=none"]  # 18 steps are an epoch

CONF = Path(__file__).resolve().parent.parent / "conf"


ABOUT = {path.stem: yaml.safe_load(path.read_text())["about"] for path in sorted((CONF / "dataset").glob("*.yaml"))}
OFFLINE = {name: about for name, about in ABOUT.items() if about["offline"]}  # the tasks that need no download


def embedded(dataset: str) -> list[str]:
    """The task, with the settings under which it needs no download."""
    offline = ABOUT[dataset]["offline"]
    return [
        f"dataset={dataset}",
        *(f"dataset.{k}={v}" for k, v in (offline if isinstance(offline, dict) else {}).items()),
    ]


def steps_in(dataset: str, seconds: float, most: int) -> int:
    """How many steps of the task are taken in this time at scale=smoke, as its YAML says; at least 4."""
    return max(4, min(most, int(seconds / ABOUT[dataset]["seconds_per_step"])))


FORKS = multiprocessing.get_context("forkserver")  # imports torch once; every process below is a fork of it
FORKS.set_forkserver_preload(
    ["lookahead_bench.runs.session", "lookahead_bench.report.report", "torch._dynamo", "sklearn.datasets"]
)


def machine(**node: Any) -> Machine:
    """This processor, for a run that is too short to compile; keys of a `gpu` node where `auto` will not do."""
    return Machine(
        {key: "auto" for key in ("channels_last", "compile", "fused", "threads")} | node, torch.device("cpu")
    )


def everyone(task: Task, draw: int = 0, first: bool = True) -> Call:
    """An evaluation of every player, the step's first one or a later one."""
    players = tuple(task.players)
    return Call(players, draw, fresh=first, first=players if first else (), seed=1)


def at(config: Config, results: Path) -> Config:
    """The same run in another results directory."""
    return replace(config, nodes={**config.nodes, "results_dir": str(results)})


def life(
    what: Sequence[str] | Config, output: str, environment: dict[str, str], prepare: Callable[[], None] | None
) -> None:
    """What a process of `start` does, its output into a file."""
    os.environ.update(environment)
    os.fsync = lambda handle: None  # kill -9 loses nothing that the kernel has; only a power cut does
    with open(output, "w", buffering=1) as file:
        sys.stdout = sys.stderr = file
        if prepare is not None:
            prepare()
        if isinstance(what, Config):
            execute(what)
            os._exit(0)
        try:
            main(list(what))
        except SystemExit as ended:
            os._exit(int(ended.code or 0))


def start(
    what: Sequence[str] | Config, output: Path, prepare: Callable[[], None] | None = None, daemon: bool = True,
    **environment: str,
) -> Any:  # fmt: skip
    """A command or a run in a process of its own, which checkpoints after every step unless told otherwise.

    daemon: it ends with this one, and may have no processes of its own, as `report` has.
    """
    environment = {"LOOKAHEAD_BENCH_CHECKPOINT_SECONDS": "0", **environment}
    process = FORKS.Process(target=life, args=(what, str(output), environment, prepare), daemon=daemon)
    process.start()
    return process


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.0005)


def kill(process: Any, results: Path) -> None:
    """kill -9, until nobody holds a run below `results`: the kernel may close a dead process's files a moment later."""
    process.kill()
    process.join()
    wait_for(lambda: not any(Lock(path).held_by_another() for path in results.glob("runs/*/run.lock")))


def steps_saved(results: Path) -> int:
    """The step of the newest checkpoint of the one run below `results`."""
    found = [int(p.stem.removeprefix("step-")) for p in results.glob("runs/*/checkpoints/step-*.pt")]
    return max(found, default=0)


def need(engine: str) -> None:
    """Skip the test where this launcher cannot work here."""
    plugin = PLUGINS[engine]
    if importlib.util.find_spec(f"hydra_plugins.{plugin}") is None:
        pytest.skip(f"needs {plugin.replace('_', '-')}")
    if engine == "slurm" and (shutil.which("sinfo") is None or "idle" not in ask("sinfo", "--noheader", "--format=%T")):
        pytest.skip("needs a SLURM with a free node")


def ask(*words: str) -> str:
    """What a program says."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def timeless(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what the machine's speed decides."""
    return [{k: v for k, v in row.items() if "seconds" not in k and "_per_s" not in k} for row in rows]


def rows(path: Path) -> list[dict[str, Any]]:
    """metrics.jsonl as it is, every line of it an object."""
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor of a nested state, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors(one)


def final_state(path: Path) -> dict[str, Any]:
    """The newest checkpoint, which is the one after the last step."""
    state = load_newest(path / "checkpoints")
    assert state is not None, generations(path / "checkpoints")
    return state


def assert_same_run(one: RunResult, other: RunResult) -> None:
    """Rows, scores, weights and optimizer states are equal bit for bit."""
    assert (one.run_id, one.status, one.final, one.best) == (other.run_id, other.status, other.final, other.best)
    assert timeless(rows(one.path)) == timeless(rows(other.path))
    mine, theirs = (final_state(r.path) for r in (one, other))
    assert mine["step"] == theirs["step"]
    for part in ("task", "optimizer", "scheduler"):
        pairs = list(zip(tensors(mine[part]), tensors(theirs[part]), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs), part
    assert list(tensors(mine["task"]))


def die_before(operation: int) -> None:
    """kill -9 of this process before its n-th sync, rename, removal or cut of a file from now on."""
    before(operation, partial(os.kill, os.getpid(), signal.SIGKILL))


def before(operation: int, happens: Callable[[], object]) -> None:
    """Something happens before this process's n-th sync, rename, removal or cut of a file from now on."""
    left = operation

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                happens()
            return real(*args, **kwargs)

        return call

    for name in ("fsync", "replace", "unlink", "truncate"):
        setattr(os, name, counted(getattr(os, name)))

"""What runs will cost: from a finished run of the same kind, else from steps that were timed before. Imports no torch.

A kind is what decides speed: task, model, composition of the optimizer, sizes, precision, `gpu` node and replicas. Left
out are the seed, budgets, cadence, schedule and `k`, and the value of everything that is no integer: a float is a
constant of the method or the problem, an integer may be a size.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lookahead_bench.configuration import Config
from lookahead_bench.configuration.rules import BUDGETS
from lookahead_bench.machine import graphics, processor
from lookahead_bench.runs.files import read_json, write_json
from lookahead_bench.runs.store import LOADER

NO_MATTER = ("seed", "scale", "schedule", "evaluate_every", "k", "text_file", *BUDGETS)
CANDIDATES = 20  # stored runs of the same task and optimizer that are looked at, the latest first
LONG = 60.0  # seconds from which on a run says beforehand what it will take


@dataclass(frozen=True)
class Pace:
    """What a kind of run costs here.

    step, evaluation   seconds of a step with its share of the files, and of one evaluation
    start              seconds before the first step
    calls, epochs      oracle calls of a step, and its share of an epoch (0 where there is none)
    fixed, growing     bytes on the disk, whatever the budget, and for every step
    source             the run that tells, or `timed`
    """

    step: float
    evaluation: float
    start: float
    calls: float
    epochs: float
    fixed: float
    growing: float
    source: str


@dataclass(frozen=True)
class Cost:
    """Of one program: a run, or replicas together (all their oracle calls and bytes)."""

    steps: int
    oracle_calls: float
    seconds: float
    bytes: float

    def __mul__(self, part: float) -> Cost:
        return Cost(round(self.steps * part), self.oracle_calls * part, self.seconds * part, self.bytes)


def cost(config: Config, pace: Pace) -> Cost:
    """What the budget of a configuration comes to."""
    limits = {
        "epochs": config["epochs"] / pace.epochs if config["epochs"] and pace.epochs else math.inf,
        "max_steps": config["max_steps"] or math.inf,
        "max_oracle_calls": config["max_oracle_calls"] / pace.calls if config["max_oracle_calls"] else math.inf,
    }
    steps = max(1, math.ceil(round(min(limits.values()), 6)))
    scores = evaluations(config["evaluate_every"], steps, steps * pace.epochs, steps * pace.calls)
    return Cost(
        steps,
        steps * pace.calls * config["replicas"],
        pace.start + steps * pace.step + scores * pace.evaluation,
        (pace.fixed + pace.growing * steps) * config["replicas"],
    )


def evaluations(every: str | None, steps: float, epochs: float, calls: float) -> int:
    """How often such a run is scored: before the first step, at the end, and in between as `evaluate_every` says."""
    if every is None:
        return 2
    count, unit = every.split()
    done = {"epochs": epochs, "steps": steps, "oracle_calls": calls}[unit]
    return 2 + max(0, math.ceil(round(done / float(count), 6)) - 1)


# ------------------------------------------------------------------------------------------------------ what is known


def known(config: Config) -> Pace | None:
    """The pace of the latest finished run of the same kind on this machine, else the one that was timed here."""
    return stored(config) or kept(config)


def stored(config: Config) -> Pace | None:
    prefix = f"{config['dataset']['name']}-{config['optimizer']['name']}-s"
    runs = Path(config["results_dir"], "runs")
    wanted = kind(config.scientific, config.execution)
    try:
        found = sorted(runs.glob(f"{prefix}*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:  # whoever begins the run will say what is wrong with the place
        return None
    for path in found[:CANDIDATES]:
        record = read_json(path) or {}
        if record.get("status") == "done" and record.get("step") and here(record.get("hardware") or {}):
            try:
                theirs = yaml.load((path.parent / "config.yaml").read_bytes(), Loader=LOADER)
                if kind(theirs["scientific"], theirs["execution"]) == wanted:
                    return of_record(path.parent, record, theirs["scientific"].get("evaluate_every"))
            except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
                continue
    return None


def of_record(directory: Path, record: Mapping[str, Any], every: str | None) -> Pace:
    steps, seconds = record["step"], record["seconds"]
    scored = evaluations(every, steps, record["epoch"], record["oracle_calls"])
    rows = (directory / "metrics.jsonl").stat().st_size
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return Pace(
        (seconds["train"] + seconds["io"]) / steps, seconds["eval"] / scored, 0.0, record["oracle_calls"] / steps,
        record["epoch"] / steps, size - rows, rows / steps, directory.name,
    )  # fmt: skip


def kept(config: Config) -> Pace | None:
    """What was timed for this kind, on a machine like this one."""
    try:
        return Pace(**(read_json(place(config)) or {})["pace"])
    except (KeyError, TypeError):  # there is none, or of another version
        return None


def keep(config: Config, pace: Pace) -> None:
    path = place(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"kind": kind(config.scientific, config.execution), "machine": machine(), "pace": asdict(pace)})


def place(config: Config) -> Path:
    """<results_dir>/timings/<dataset>-<optimizer>-<hash of kind and machine>.json"""
    text = json.dumps([kind(config.scientific, config.execution), machine()], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = f"{config['dataset']['name']}-{config['optimizer']['name']}-{digest}.json"
    return Path(config["results_dir"], "timings", name)


# --------------------------------------------------------------------------------------------------- kind and machine


def kind(science: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the speed of a run, of this version or of an earlier one."""
    return {"science": shape(science), "gpu": execution["gpu"], "replicas": execution.get("replicas", 1)}


def shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: shape(v) for k, v in value.items() if k not in NO_MATTER and v is not None}
    if isinstance(value, list | tuple):
        return [shape(v) for v in value]
    return "float" if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    return {"processor": processor(), "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS"),
            "graphics": graphics(), "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}  # fmt: skip


def here(hardware: Mapping[str, Any]) -> bool:
    """Whether a run of this `hardware` was done on a machine like this one, with as many threads as now."""
    threads, now = hardware.get("threads", 1), os.environ.get("OMP_NUM_THREADS")
    return (
        (hardware.get("processor"), hardware.get("cores")) == (processor(), os.cpu_count())
        and ("gpu" not in hardware or hardware["gpu"] in graphics())
        and (threads == 1 or now in (None, str(threads)))
    )

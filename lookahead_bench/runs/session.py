"""One life of one or several runs that are computed together: build, train, and the truth about it in run.json."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import Parameter
from tqdm import tqdm

from lookahead_bench import hardware
from lookahead_bench.build import build_optimizer
from lookahead_bench.config import Config
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.rules import BUDGETS, DESCRIPTIVE
from lookahead_bench.runs import checkpoint, tracker
from lookahead_bench.runs.files import write_all
from lookahead_bench.runs.recorder import Recorder, join
from lookahead_bench.runs.run import InterruptedBySignal
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.targets import import_target, names_taken
from lookahead_bench.tasks.base import Task
from lookahead_bench.trainer import Budget, Cadence, Interrupted, Trainer

DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}
NOT_ARGUMENTS = ("_target_", "name", "description")  # of a schedule's node
Resumed = tuple[RunDirectory, dict[str, Any] | None]  # a run and its checkpoint


def by_checkpoint(runs: Sequence[RunDirectory]) -> list[list[Resumed]]:
    """Runs that can go on together: those at the same step, each with its newest sound checkpoint."""
    groups: dict[int, list[Resumed]] = {}
    for one in runs:
        sound = (s for s in checkpoint.newest_first(one.checkpoints) if s.get("run_id") == one.config.run_id)
        state = next((s for s in sound if one.truncate(s["metrics_bytes"])), None)
        if state is None:
            one.truncate(0)
        groups.setdefault(-1 if state is None else state["step"], []).append((one, state))
    return list(groups.values())


def rehearse(config: Config) -> None:
    """Refuse what only the classes themselves can tell, before any data is read and before anything is written.

    Errors: ConfigError.
    """
    target = config["dataset"]["_target_"]
    task = import_target("dataset._target_", target)
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise ConfigError(f"dataset._target_={target}: is no lookahead_bench.tasks.base.Task")
    hardware.device_of(config["gpu"]["device"])
    schedule_of(config)
    node, players = config["optimizer"], config["dataset"]["players"]
    projected = any(wrapper["_target_"].endswith(".Projected") for wrapper in node["wrappers"])
    notices = logging.getLogger("lookahead_bench")
    notices.disabled = True  # they come when the optimizer is built in earnest
    try:
        build_optimizer(
            node, {player: [Parameter(torch.zeros(2, 2))] for player in players}, user_keys=config.user_keys,
            constraint=(lambda parameters: None) if projected else None, order=[[player] for player in players],
        )  # fmt: skip
    finally:
        notices.disabled = False


def schedule_of(config: Config) -> Callable[[float], float]:
    """The multiplier of the learning rates, a function of progress. Errors: ConfigError."""
    node = config["schedule"]
    make = import_target("schedule._target_", node["_target_"])
    try:
        schedule: Callable[[float], float] = make(**{k: v for k, v in node.items() if k not in NOT_ARGUMENTS})
        sound = all(math.isfinite(schedule(progress)) and schedule(progress) >= 0 for progress in (0.0, 0.5, 1.0))
    except Exception as error:
        raise ConfigError(
            f"schedule._target_={node['_target_']}: cannot be used: {type(error).__name__}: {error}"
        ) from None
    if not sound:
        raise ConfigError(f"schedule={node['name']}: its multiplier becomes negative or not finite; change its keys")
    return schedule


class Session:
    """One life of one or several runs that are computed together."""

    def __init__(self, config: Config, group: Sequence[Resumed]) -> None:
        self.config = config
        self.runs = [one for one, _ in group]
        self.states = [state for _, state in group if state is not None]
        self.trainer: Trainer | None = None
        self.statuses = ["running"] * len(self.runs)
        self.recorder = Recorder(
            self.runs, config["dataset"]["metric"], config["dataset"]["direction"], on_diverged=self.diverged
        )
        self.settings: hardware.Settings | None = None
        self.following = tracker.NoTracker()

    def run(self) -> int | None:
        """Train to the end. run.json is true at every instant; an exception leaves it `failed` or `interrupted`.

        Returns the signal that came too late to interrupt it, if one did.
        """
        write_all([one.config_file() for one in self.runs])
        threads = torch.get_num_threads()
        with StopSignals() as signals:
            self.write_records()
            try:
                self.train(signals)
            except Interrupted:
                assert signals.received is not None
                self.finish("interrupted", signal=signal.Signals(signals.received).name)
                raise InterruptedBySignal(self.runs[0].config.run_id, signals.received) from None
            except (ConfigError, DataError) as error:
                self.finish("failed", error=str(error))
                raise
            except BaseException as error:
                facts = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
                with contextlib.suppress(OSError):  # a full disk must not hide what has happened
                    self.finish("failed", **facts)
                raise
            finally:
                torch.set_num_threads(threads)
                self.following.finish(self.statuses[0])
        return signals.received

    def train(self, signals: StopSignals) -> None:
        self.trainer = trainer = self.build()
        self.following = tracker.start(self.runs)
        self.recorder.on_row, self.recorder.on_picture = self.following.log, self.following.picture
        trainer.stop_requested = lambda: signals.received is not None
        bar = tqdm(
            total=100, desc=self.runs[0].config.run_id, disable=None, leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )  # fmt: skip

        def show(trainer: Trainer) -> None:
            if not bar.disable:
                samples = trainer.task.samples(trainer.oracle.draws) * trainer.task.replicas
                rate = samples / max(trainer.clock.seconds["train"], 1e-9)
                bar.set_postfix_str(f"step {trainer.step}, {rate:,.0f} samples/s", refresh=False)
                bar.update(100 * min(1.0, trainer.progress()) - bar.n)

        trainer.on_step = show
        try:
            trainer.train()
            self.finish("done")
        except Diverged:
            self.finish("diverged")  # before its weights are saved: nobody may go on from them
            trainer.save()
        finally:
            bar.close()

    def build(self) -> Trainer:
        """Task, optimizer, oracle and trainer, at the start or where the checkpoints stand."""
        config, dataset = self.config, self.config["dataset"]
        task_class = import_target("dataset._target_", dataset["_target_"])
        samples = dataset.get("train_size", 0) * (config["epochs"] or 0)
        machine = hardware.Machine(config["gpu"], hardware.device_of(config["gpu"]["device"]), samples)
        offered = {
            **{k: v for k, v in dataset.items() if k not in DESCRIPTIVE["dataset"]},
            "model": config["model"],
            "data_dir": config["data_dir"],
            "seeds": [one.config["seed"] for one in self.runs],
            "dtype": DTYPES[config["precision"]],
            "device": machine.device,
            "machine": machine,
        }
        takes = names_taken(task_class)
        task: Task = task_class(**{k: v for k, v in offered.items() if k in takes})
        self.settings = settings = task.settings or machine.settle()
        torch.set_num_threads(settings.threads)
        optimizer = build_optimizer(
            config["optimizer"], task.players, constraint=task.constraint, order=[[name] for name in task.players],
            user_keys=config.user_keys, fused=True if settings.fused else None,
        )  # fmt: skip
        oracle = Oracle(
            task,
            seed=config["seed"],
            resample=config["resample"],
            clip_norm=config["clip_norm"],
            autocast=torch.bfloat16 if config["precision"] == "bfloat16" else None,
        )
        trainer = Trainer(
            task,
            optimizer,
            oracle,
            schedule=schedule_of(config),
            budget=Budget(*(config[key] for key in BUDGETS)),
            evaluate_every=Cadence(1, "epochs") if task.epoch(1) else None,
            log=self.recorder,
            checkpoint_every=float(os.environ.get("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "60")),
        )
        self.recorder.weights = trainer.evaluator.kinds[-1]
        if self.states:
            trainer.load_state_dict(join([own_part(state) for state in self.states]))
            self.recorder.summary = [state["summary"] for state in self.states]
        return trainer

    # ------------------------------------------------------------------------------------------------------- records

    def finish(self, status: str, **facts: Any) -> None:
        """Leave every run with the rows so far and this status; one that has diverged has its own already."""
        self.recorder.flush()
        self.statuses = ["diverged" if old == "diverged" else status for old in self.statuses]
        self.write_records(**facts)

    def diverged(self, replicas: list[int]) -> None:
        for r in replicas:
            self.statuses[r] = "diverged"
        if len(self.runs) > 1:  # the others go on, perhaps for long
            self.write_records(replicas)

    def write_records(self, replicas: Sequence[int] | None = None, **facts: Any) -> None:
        """run.json of every run, or of these replicas'."""
        trainer = self.trainer
        seconds = trainer.clock.seconds if trainer else {"train": 0.0, "eval": 0.0, "io": 0.0}
        shared = {
            "seconds": {kind: round(value, 3) for kind, value in seconds.items()},
            "versions": hardware.versions(),
            "git_revision": hardware.git_revision(),
            "hardware": hardware.describe(self.settings) if self.settings else None,
            "command_line": hardware.command_line(),
            **facts,
        }
        rate = self.samples_per_s(trainer) if trainer else None
        files = []
        for r in range(len(self.runs)) if replicas is None else replicas:
            one, status = self.runs[r], self.statuses[r]
            counts = self.counts(trainer, r) | {"samples_per_s": rate} if trainer else {}
            headline = {key: self.config["dataset"][key] for key in ("metric", "direction")}
            record = {"run_id": one.config.run_id, "status": status, **headline, **self.recorder.summary[r]}
            record |= counts | shared
            if len(self.runs) > 1:
                record["replicas"] = len(self.runs)
            files.append(one.record_file(record))
        write_all(files)

    def counts(self, trainer: Trainer, r: int) -> dict[str, Any]:
        """Steps, oracle calls, samples and epochs of replica r."""
        position = trainer.stopped.get(r) or trainer.counts()
        return {name: position[name] for name in ("step", "oracle_calls", "samples", "epoch")}

    def samples_per_s(self, trainer: Trainer) -> float | None:
        """The rate of the whole program, over all replicas."""
        position, seconds = trainer.counts(), trainer.clock.seconds["train"]
        samples = sum(trainer.stopped.get(r, position)["samples"] for r in range(len(self.runs)))
        return round(samples / seconds, 1) if seconds else None


def own_part(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without what belongs to the run's files."""
    return {k: v for k, v in state.items() if k not in ("run_id", "metrics_bytes", "summary")}

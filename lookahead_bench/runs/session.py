"""One life of one or several runs that are computed together: build, train, and the truth about it in run.json."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from lookahead_bench import config as configuration
from lookahead_bench import hardware
from lookahead_bench.build import build_optimizer
from lookahead_bench.config import Config
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.runs import checkpoint, tracker
from lookahead_bench.runs.recorder import Recorder, join
from lookahead_bench.runs.run import InterruptedBySignal
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.targets import import_target, names_taken
from lookahead_bench.tasks.base import Task
from lookahead_bench.trainer import Budget, Interrupted, Trainer

DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}
Resumed = tuple[RunDirectory, dict[str, Any] | None]  # a run and its checkpoint


def by_checkpoint(runs: Sequence[RunDirectory]) -> list[list[Resumed]]:
    """Runs that can go on together: those at the same step, each with its newest sound checkpoint."""
    groups: dict[int, list[Resumed]] = {}
    for one in runs:
        state = checkpoint.load_newest(one.checkpoints)
        if state is None or state["run_id"] != one.config.run_id or not one.truncate(state["metrics_bytes"]):
            state = None
            one.truncate(0)
        groups.setdefault(-1 if state is None else state["step"], []).append((one, state))
    return list(groups.values())


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

    def run(self) -> None:
        """Train to the end. run.json is true at every instant; an exception leaves it `failed` or `interrupted`."""
        for one in self.runs:
            one.write_config()
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
                self.finish("failed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
                raise
            finally:
                torch.set_num_threads(threads)

    def train(self, signals: StopSignals) -> None:
        self.trainer = trainer = self.build()
        following = tracker.start(self.runs)
        self.recorder.on_row = following.log
        trainer.stop_requested = lambda: signals.received is not None
        bar = tqdm(
            total=100, desc=self.runs[0].config.run_id, disable=None, leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )  # fmt: skip

        def show(trainer: Trainer) -> None:
            if not bar.disable:
                samples = trainer.oracle.draws * trainer.task.samples_per_batch * trainer.task.replicas
                rate = samples / max(trainer.clock.seconds["train"], 1e-9)
                bar.set_postfix_str(f"step {trainer.step}, {rate:,.0f} samples/s", refresh=False)
                bar.update(100 * min(1.0, trainer.progress()) - bar.n)

        trainer.on_step = show
        try:
            trainer.train()
        except Diverged:
            trainer.save()
        finally:
            bar.close()
        self.finish("done")
        following.finish(self.statuses[0])

    def build(self) -> Trainer:
        """Task, optimizer, oracle and trainer, at the start or where the checkpoints stand."""
        config, dataset = self.config, self.config["dataset"]
        task_class = import_target("dataset._target_", dataset["_target_"])
        convolutional = bool((config["model"] or {}).get("convolutional"))
        size = dataset.get("train_size", 0) * (config["epochs"] or 0)
        self.settings = settings = hardware.settle(
            config["gpu"], convolutional=convolutional, samples=size, network=config["model"] is not None
        )
        torch.set_num_threads(settings.threads)
        offered = {
            **{k: v for k, v in dataset.items() if k not in configuration.DESCRIPTIVE["dataset"]},
            "model": config["model"],
            "data_dir": config["data_dir"],
            "seeds": [one.config["seed"] for one in self.runs],
            "dtype": DTYPES[config["precision"]],
            "device": settings.device,
            "channels_last": settings.channels_last,
            "compile": settings.compile,
        }
        takes = names_taken(task_class)
        task: Task = task_class(**{k: v for k, v in offered.items() if k in takes})
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
        node = config["schedule"]
        schedule = import_target("schedule._target_", node["_target_"])
        trainer = Trainer(
            task,
            optimizer,
            oracle,
            schedule=schedule(**{k: v for k, v in node.items() if k not in ("_target_", "name", "description")}),
            budget=Budget(*(config[key] for key in configuration.BUDGETS)),
            log=self.recorder,
            checkpoint_every=float(os.environ.get("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "60")),
        )
        self.recorder.weights = trainer.kinds[-1]
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
            self.write_records()

    def write_records(self, **facts: Any) -> None:
        """run.json of every run."""
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
        for r, (one, status) in enumerate(zip(self.runs, self.statuses, strict=True)):
            counts = self.counts(trainer, r) if trainer else {}
            headline = {key: self.config["dataset"][key] for key in ("metric", "direction")}
            record = {"run_id": one.config.run_id, "status": status, **headline, **self.recorder.summary[r]}
            record |= counts | shared
            if len(self.runs) > 1:
                record["replicas"] = len(self.runs)
            one.write_record(record)

    def counts(self, trainer: Trainer, r: int) -> dict[str, Any]:
        """Steps, oracle calls and samples of replica r, and the rate of the whole program."""
        position = trainer.stopped.get(r) or trainer.position("", "")
        seconds = trainer.clock.seconds["train"]
        samples = sum(trainer.stopped.get(i, position)["samples"] for i in range(len(self.runs)))
        return {
            **{name: position[name] for name in ("step", "oracle_calls", "samples", "epoch")},
            "samples_per_s": round(samples / seconds, 1) if seconds else None,
        }


def own_part(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without what belongs to the run's files."""
    return {k: v for k, v in state.items() if k not in ("run_id", "metrics_bytes", "summary")}

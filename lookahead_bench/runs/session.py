"""One life of one or several runs that are computed together: build, train, and the truth about it in run.json."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tqdm import tqdm

from lookahead_bench import hardware
from lookahead_bench.bands import bands_of
from lookahead_bench.build import Parts
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.rules import BUDGETS
from lookahead_bench.errors import ConfigError, DataError, InterruptedBySignal, RunError
from lookahead_bench.log import Log, Silence
from lookahead_bench.notices import no_bar
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.ranks import Ranks
from lookahead_bench.runs import tracker
from lookahead_bench.runs.files import write_all
from lookahead_bench.runs.parts import State, together
from lookahead_bench.runs.recorder import Recorder
from lookahead_bench.runs.resume import Resumed, earlier_code, own_part
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import FINISHED
from lookahead_bench.trainer import Budget, Cadence, Interrupted, Trainer


class Session:
    """One life of one or several runs that are computed together."""

    def __init__(self, parts: Parts, group: Sequence[Resumed]) -> None:
        self.parts, self.config = parts, parts.config
        self.runs = [one for one, _ in group]
        self.states = [state for _, state in group if state is not None]
        self.trainer: Trainer | None = None
        self.statuses = ["running"] * len(self.runs)
        self.recorder = Recorder(
            self.runs, self.config.about["metric"], self.config.about["direction"], on_diverged=self.diverged
        )
        self.settings: hardware.Settings | None = None
        self.following = tracker.NoTracker()

    def run(self, signals: StopSignals) -> None:
        """Train to the end. run.json is true at every instant; an exception leaves it `failed` or `interrupted`."""
        write_all([one.config_file() for one in self.runs])
        threads = torch.get_num_threads()
        self.write_records()
        try:
            self.train(signals)
        except Interrupted:
            assert signals.received is not None
            self.finish("interrupted", signal=signal.Signals(signals.received).name)
            raise InterruptedBySignal(self.runs[0].config.run_id, signals.received) from None
        except (ConfigError, DataError, RunError) as error:
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

    def train(self, signals: StopSignals) -> None:
        self.trainer = trainer = self.build()
        self.following = tracker.start(self.runs)
        self.recorder.on_row, self.recorder.on_picture = self.following.log, self.following.picture
        trainer.stop_requested = lambda: stop_requested(self.parts.machine.ranks, signals)
        bar = tqdm(
            total=100, desc=self.runs[0].config.run_id, disable=no_bar(), leave=False,
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
        configs = [one.config for one in self.runs]
        trainer = assemble(self.parts, configs, self.recorder, lambda: self.recorder.cost)
        self.settings = trainer.task.settings or self.parts.machine.settle()
        self.recorder.weights = trainer.evaluator.kinds[-1]
        sizes = [len(band) for band in bands_of(configs)]
        state = together([own_part(state) for state in self.states], sizes) if self.states else None
        self.parts.machine.ranks.first(state)
        if state is not None:
            self.resume(trainer, state)
        return trainer

    def resume(self, trainer: Trainer, state: State) -> None:
        """Put everything where the checkpoints stand. Errors: RunError for what this version cannot use."""
        try:
            trainer.load_state_dict(state)
        except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            step, reason = self.states[0]["step"], " ".join(f"{type(error).__name__}: {error}".split())
            raise RunError(
                f"{self.states[0]['run_id']}: its checkpoint of step {step} cannot be used by this version "
                f"({reason[:200]}); force=true begins again"
            ) from error
        self.recorder.summary = [state["summary"] for state in self.states]
        self.recorder.earlier = earlier_code(self.states[0])

    # ------------------------------------------------------------------------------------------------------- records

    def finish(self, status: str, **facts: Any) -> None:
        """Leave every run with the rows so far and this status; one that has diverged has its own already."""
        self.recorder.flush()
        for r, old in enumerate(self.statuses):
            blown = status == "done" and not self.recorder.ended_finite(r)
            self.statuses[r] = "diverged" if old == "diverged" or blown else status
        self.write_records(**facts)
        if status != "failed":
            with contextlib.suppress(RunError):  # who has gone already is not needed any more
                self.parts.machine.ranks.meet()

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
            "hardware": hardware.describe(self.settings, self.parts.machine.ranks.size) if self.settings else None,
            "command_line": hardware.command_line(),
            **facts,
        }
        rate = self.samples_per_s(trainer) if trainer else None
        files = []
        for r in range(len(self.runs)) if replicas is None else replicas:
            one, status = self.runs[r], self.statuses[r]
            counts = self.counts(trainer, r) | {"samples_per_s": rate} if trainer else {}
            about = self.config.about
            headline: dict[str, Any] = {key: about[key] for key in ("metric", "direction", "also") if key in about}
            record = {"run_id": one.config.run_id, "status": status, **headline, **self.recorder.summary[r]}
            record |= counts | {"studies": one.studies()} | shared | (one.mark() if status in FINISHED else {})
            if self.recorder.earlier:
                record["earlier_code"] = self.recorder.earlier
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


def assemble(parts: Parts, configs: Sequence[Config], log: Log, cost: Callable[[], float]) -> Trainer:
    """Task, optimizer, oracle and trainer of these replicas. cost: of the last evaluation, see `Trainer`."""
    config, ranks = parts.config, parts.machine.ranks
    task = parts.task(configs)
    settings = task.settings or parts.machine.settle()
    torch.set_num_threads(settings.threads)
    optimizer, rows = parts.optimizer(task, configs, fused=settings.fused)
    oracle = Oracle(
        task,
        seed=config["seed"],
        resample=config["resample"],
        clip_norm=config["clip_norm"],
        autocast=torch.bfloat16 if config["precision"] == "bfloat16" else None,
        ranks=ranks,
    )
    if rows is not None:
        oracle.on_gradients = rows.hand_down
    return Trainer(
        task,
        optimizer,
        oracle,
        schedule=parts.schedule,
        budget=Budget(*(config[key] for key in BUDGETS)),
        evaluate_every=Cadence.parse(config["evaluate_every"]),
        baseline="ema" if config["ema"] is not None else None,
        batchnorm=config["batchnorm"],
        log=log,
        cost=lambda: ranks.first(cost()),
        checkpoint_every=float(os.environ.get("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "60")),
    )


def follow(parts: Parts, signals: StopSignals) -> None:
    """What the other processes of a run do beside the first one's session: the same steps and scores, and no file.

    It ends with the first one, which has written everything by then.
    """
    config, ranks = parts.config, parts.machine.ranks
    trainer = assemble(parts, [config], Silence(), lambda: math.nan)
    trainer.stop_requested = lambda: stop_requested(ranks, signals)
    state: State | None = ranks.first(None)
    if state is not None:
        trainer.load_state_dict(state)
    try:
        trainer.train()
    except Diverged:
        pass
    except Interrupted:
        ranks.meet()
        assert signals.received is not None
        raise InterruptedBySignal(config.run_id, signals.received) from None
    ranks.meet()


def stop_requested(ranks: Ranks, signals: StopSignals) -> bool:
    """Whether any of the processes has received a signal; then all of them have."""
    number = ranks.largest(signals.received or 0)
    if number:
        signals.received = number
    return number > 0

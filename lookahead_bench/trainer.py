"""The one loop that trains everything: `loss = optimizer.step(oracle)` until a budget is spent.

It knows neither the kind of the optimizer nor that of the task. What it adds around the step: the schedule, rows,
evaluations, checkpoints, and leaving in good order when a signal or a non-finite number says so.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lookahead_bench.evaluator import Evaluator, Moment
from lookahead_bench.log import Log
from lookahead_bench.optim.foreach import clones
from lookahead_bench.optim.wrapper import closure_calls, tell
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.schedule import Schedule
from lookahead_bench.tasks.base import Scores, Task

ROW_EVERY = 20  # steps
TOY_ROWS = 1000


@dataclass(frozen=True)
class Budget:
    """How long to train: the first limit reached ends the run. None: no limit of that kind."""

    epochs: int | None
    max_steps: int | None
    max_oracle_calls: float | None


@dataclass(frozen=True)
class Cadence:
    """An evaluation at every multiple of `count` (> 0) that a step reaches or passes."""

    count: float
    unit: str  # epochs | steps | oracle_calls

    @classmethod
    def parse(cls, text: str | None) -> Cadence | None:
        """`2 epochs`; None is none in between."""
        count, _, unit = (text or "").partition(" ")
        return cls(float(count), unit) if text else None


@dataclass
class Clock:
    """Seconds by kind: train, eval, io."""

    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "eval": 0.0, "io": 0.0})

    @contextlib.contextmanager
    def time(self, kind: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - start


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved."""


class Trainer:
    """Trains one task with one optimizer (for all replicas at once).

    schedule          multiplier of the learning rates as a function of progress in [0, 1], and of the scores so far
    evaluate_every    when scores are due between the first and the last ones; None: never
    baseline          a kind of weights that is scored for comparison only; the method is not judged by it
    batchnorm         which statistics weights are scored with: mixed, estimated or running; see `Evaluator`
    log               receives rows, pictures and checkpoints
    stop_requested    asked before every step; true: checkpoint and raise Interrupted
    checkpoint_every  seconds between checkpoints
    cost              the last score of the split for choosing, turned so that less is better
    """

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        oracle: Oracle,
        *,
        schedule: Schedule,
        budget: Budget,
        evaluate_every: Cadence | None = None,
        baseline: str | None = None,
        batchnorm: str = "mixed",
        log: Log,
        stop_requested: Callable[[], bool] = lambda: False,
        checkpoint_every: float = 60.0,
        on_step: Callable[[Trainer], None] = lambda trainer: None,
        cost: Callable[[], float] = lambda: math.nan,
    ) -> None:
        self.task, self.optimizer, self.oracle, self.budget, self.log = task, optimizer, oracle, budget, log
        self.evaluate_every = evaluate_every
        self.stop_requested, self.checkpoint_every, self.on_step = stop_requested, checkpoint_every, on_step
        self.step = 0
        self.clock = Clock()
        self.schedule, self._cost = schedule, cost
        self.scheduler = LambdaLR(optimizer, lambda _: self.rate())
        self._step_calls = 0.0  # what one step costs in oracle calls
        self._row_step = 0
        self.stopped: dict[int, dict[str, Any]] = {}  # diverged replica -> where it was
        self.oracle.calls_a_step = closure_calls(optimizer)
        self.oracle.on_lost = self.remember
        self._lost: list[tuple[Moment, Scores]] = []  # in this step, and the losses of its first evaluation
        self._before: list[Tensor] = []  # the parameters before this step, where there are replicas
        self.evaluator = Evaluator(task, optimizer, oracle, log, baseline=baseline, batchnorm=batchnorm)

    # ------------------------------------------------------------------------------------------------------ position

    def epoch(self) -> float:
        return self.task.epoch(self.oracle.draws)

    def evaluations(self) -> int:
        """How many evaluations between the first and the last were due so far."""
        if self.evaluate_every is None:
            return 0
        done = {"epochs": self.epoch(), "steps": self.step, "oracle_calls": self.oracle.calls}
        return int(done[self.evaluate_every.unit] / self.evaluate_every.count)

    def progress(self) -> float:
        """The largest part used up of the budgets that are set."""
        used = [0.0]
        if self.budget.epochs is not None:
            used.append(self.epoch() / self.budget.epochs)
        if self.budget.max_steps is not None:
            used.append(self.step / self.budget.max_steps)
        if self.budget.max_oracle_calls is not None:
            used.append(self.oracle.calls / self.budget.max_oracle_calls)
        return max(used)

    def rate(self) -> float:
        """What every group's learning rate is multiplied by in the next step."""
        return self.schedule(self.progress()) * self.task.rate(self.oracle.draws)

    def finished(self) -> bool:
        """Whether a budget is spent, or one more step would overspend the oracle calls (the first is always taken)."""
        limit = self.budget.max_oracle_calls
        return self.progress() >= 1 or (
            limit is not None and self.step > 0 and self.oracle.calls + self._step_calls > limit
        )

    def counts(self) -> dict[str, Any]:
        """Where the run is, as every row begins."""
        return {
            "step": self.step,
            "oracle_calls": integral(self.oracle.calls),
            "samples": self.task.samples(self.oracle.draws),
            "epoch": integral(self.epoch()),
            "seconds": round(self.clock.seconds["train"], 6),
        }

    # ---------------------------------------------------------------------------------------------------------- loop

    def train(self) -> None:
        """Run to the end of the budget. Raises Diverged when no replica is left, Interrupted on request."""
        if self.step == 0:
            self.evaluate(final=True)
        saved = time.monotonic()
        while not self.finished():
            if self.stop_requested():
                if self.step:  # before the first step there is nothing to save, and a resumed run scores the start anew
                    self.save()
                raise Interrupted
            evaluations = self.evaluations()
            with self.clock.time("train"):
                self.take_step()
            self.record_step()
            if self.evaluations() > evaluations and not self.finished():
                self.evaluate(final=False)
                self.watch()
            if time.monotonic() - saved >= self.checkpoint_every:
                self.save()
                saved = time.monotonic()
            self.on_step(self)
        self.save()  # before the last scores: a run that is killed in between writes them once, not twice
        self.evaluate(final=True)

    def take_step(self) -> None:
        """One optimizer step and one step of the schedule; nothing of a non-finite gradient reaches a weight."""
        oracle = self.oracle
        oracle.begin_step()
        calls = oracle.calls
        if self.task.replicas > 1:
            self._before = clones(self.evaluator.parameters)
        try:
            self.optimizer.step(oracle)  # type: ignore[arg-type]  # torch says float and means a scalar tensor
            oracle.look()  # where the optimizer evaluated less often than it announced
        except Diverged:
            self.remember([0])
            self.bury()
            raise
        self._step_calls = oracle.calls - calls
        if self._lost:
            self.bury()
            if len(self.stopped) == self.task.replicas:
                raise Diverged
        self.step += 1
        self.scheduler.step()

    def remember(self, replicas: list[int]) -> None:
        """Keep what a run done alone would end with here; the step goes on for the others."""
        moment = Moment(replicas, self.oracle.draws, self.counts(), self.evaluator.kept(replicas))
        self._lost.append((moment, self.step_losses()))

    def bury(self) -> None:
        """Take lost replicas back to where the step began; write their last row and their last scores."""
        lost, self._lost = self._lost, []
        for moment, losses in lost:
            replicas = moment.replicas or []
            if self._before:  # the parameters of a single run are there already: its closure has raised
                self.evaluator.put(replicas, [old[replicas] for old in self._before])
            position = moment.counts | {"step": self.step + 1, "split": "train", "weights": "fast"}
            with self.clock.time("io"):
                self.log.row(position, losses, replicas)
            self.evaluate(final=True, moment=moment)
            self.stopped |= dict.fromkeys(replicas, position)
            self.log.diverged(replicas)

    def step_losses(self) -> Scores:
        """The losses of this step's first evaluation: `loss` is the first player's."""
        losses = {player: self.oracle.losses[player] for player in self.task.players if player in self.oracle.losses}
        named: Scores = {} if len(losses) < 2 else {f"loss_{player}": loss for player, loss in losses.items()}
        return {"loss": next(iter(losses.values())), **named}

    def record_step(self) -> None:
        """A training row, where one is due."""
        due = self.step == 1 or self.finished()
        if self.task.every_step:
            row = math.floor(min(1.0, self.progress()) * TOY_ROWS + 1e-9)
            due |= row > self._row_step
            self._row_step = row
        else:
            due |= self.step % ROW_EVERY == 0
        if due:
            with self.clock.time("io"):
                position = self.counts() | {"split": "train", "weights": "fast"}
                metrics = self.step_losses() | self.task.train_metrics(self.oracle.draws)
                self.log.row(position, metrics, self.living())

    def living(self) -> list[int] | None:
        """The replicas still in the running; None where that is all of them."""
        if not self.stopped:
            return None
        return [r for r in range(self.task.replicas) if r not in self.stopped]

    def evaluate(self, *, final: bool, moment: Moment | None = None) -> None:
        """Scores of all that is in the running, or of what was lost at that moment; keep the best weights."""
        moment = Moment(self.living(), self.oracle.draws, self.counts()) if moment is None else moment
        with self.clock.time("eval"):
            self.evaluator.evaluate(moment, final=final)
        better = self.log.improved()
        if better and self.step > 0 and self.evaluate_every is not None:
            with self.clock.time("io"), self.evaluator.in_place(self.evaluator.kinds[-1], moment):
                self.log.best(better, self.task.state_dict())

    def watch(self) -> None:
        """Tell optimizer and schedule of the last score; where that changes the rate, the next step has it."""
        cost = self._cost()
        tell(self.optimizer, cost)
        if self.schedule.observe(cost):
            for group, base in zip(self.optimizer.param_groups, self.scheduler.base_lrs, strict=True):
                group["lr"] = base * self.rate()

    # ---------------------------------------------------------------------------------------------------- checkpoint

    def save(self) -> None:
        with self.clock.time("io"):
            self.log.checkpoint(self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to give the same bits; random streams are functions of the counts."""
        return {
            "step": self.step,
            "draws": self.oracle.draws,
            "gradients": self.oracle.gradients,
            "step_calls": self._step_calls,
            "row_step": self._row_step,
            "seconds": dict(self.clock.seconds),
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": {k: v for k, v in self.scheduler.state_dict().items() if k != "lr_lambdas"},
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self._step_calls, self._row_step = state["step"], state["step_calls"], state["row_step"]
        self.oracle.draws, self.oracle.gradients = state["draws"], state["gradients"]
        self.clock.seconds = dict(state["seconds"])
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"] | {"lr_lambdas": [None] * len(self.scheduler.lr_lambdas)})
        self.schedule.load_state_dict(state.get("schedule", {}))  # earlier versions had none to watch


def integral(value: float) -> int | float:
    """5.0 -> 5; 2.5 stays."""
    return int(value) if float(value).is_integer() else round(value, 9)

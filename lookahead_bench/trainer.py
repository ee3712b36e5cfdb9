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
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lookahead_bench.optim import evaluation_kinds, evaluation_weights, evaluation_weights_differ
from lookahead_bench.optim.foreach import clones, copy_
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.tasks.base import Scores, Task

ROW_EVERY = 20  # steps
TOY_ROWS = 1000


@dataclass(frozen=True)
class Budget:
    """How long to train: the first limit reached ends the run. None: no limit of that kind."""

    epochs: int | None
    max_steps: int | None
    max_oracle_calls: float | None


class Log(Protocol):
    """Where rows and checkpoints go; the trainer knows no file."""

    def row(self, position: dict[str, Any], metrics: Scores, replicas: list[int] | None = None) -> None: ...
    def checkpoint(self, state: dict[str, Any]) -> None: ...
    def diverged(self, replicas: list[int]) -> None: ...
    def improved(self) -> list[int]: ...
    def best(self, replicas: list[int], weights: dict[str, Any]) -> None: ...


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

    schedule          multiplier of the learning rates as a function of progress in [0, 1]
    log               receives rows and checkpoints
    stop_requested    asked before every step; true: checkpoint and raise Interrupted
    checkpoint_every  seconds between checkpoints
    """

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        oracle: Oracle,
        *,
        schedule: Callable[[float], float],
        budget: Budget,
        log: Log,
        stop_requested: Callable[[], bool] = lambda: False,
        checkpoint_every: float = 60.0,
        on_step: Callable[[Trainer], None] = lambda trainer: None,
    ) -> None:
        self.task, self.optimizer, self.oracle, self.budget, self.log = task, optimizer, oracle, budget, log
        self.stop_requested, self.checkpoint_every, self.on_step = stop_requested, checkpoint_every, on_step
        self.step = 0
        self.clock = Clock()
        self._scheduled = schedule
        self.scheduler = LambdaLR(optimizer, lambda _: self._scheduled(self.progress()))
        self._step_calls = 0.0  # what one step costs in oracle calls
        self._row_step = 0
        self.stopped: dict[int, dict[str, Any]] = {}  # diverged replica -> where it was
        self.oracle.on_death = self.bury
        self._before: list[Tensor] = []  # the parameters before this step, where there are replicas
        self.kinds = evaluation_kinds(optimizer)

    # ------------------------------------------------------------------------------------------------------ position

    def epoch(self) -> float:
        per_epoch = self.task.batches_per_epoch
        return self.oracle.draws / per_epoch if per_epoch else 0.0

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

    def finished(self) -> bool:
        """Whether a budget is spent, or one more step would overspend the oracle calls (the first is always taken)."""
        limit = self.budget.max_oracle_calls
        return self.progress() >= 1 or (
            limit is not None and self.step > 0 and self.oracle.calls + self._step_calls > limit
        )

    def position(self, split: str, weights: str) -> dict[str, Any]:
        return {
            "step": self.step,
            "oracle_calls": integral(self.oracle.calls),
            "samples": self.oracle.draws * self.task.samples_per_batch,
            "epoch": integral(self.epoch()),
            "seconds": round(self.clock.seconds["train"], 6),
            "split": split,
            "weights": weights,
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
            epoch = int(self.epoch())
            with self.clock.time("train"):
                self.take_step()
            self.record_step()
            if self.task.batches_per_epoch and int(self.epoch()) > epoch and not self.finished():
                self.evaluate(final=False)
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
            self._before = clones(self.parameters())
        try:
            self.optimizer.step(oracle)  # type: ignore[arg-type]  # torch says float and means a scalar tensor
        except Diverged:
            self.diverge([0])
            raise
        self._step_calls = oracle.calls - calls
        if oracle.died:
            with torch.no_grad():
                for parameter, old in zip(self.parameters(), self._before, strict=True):
                    parameter[oracle.died] = old[oracle.died]
            if not bool(oracle.alive.any()):
                raise Diverged
        self.step += 1
        self.scheduler.step()

    def parameters(self) -> list[Tensor]:
        return [p for params in self.task.players.values() for p in params]

    def bury(self, replicas: list[int]) -> None:
        """The last rows of replicas that an evaluation has just lost.

        Now, in the middle of the step, the counts and the slow and average weights are what they are when a run done
        alone stops here; only the parameters have to go back, as an optimizer puts them back when its closure raises.
        """
        parameters = self.parameters()
        with torch.no_grad():
            here = clones(parameters)
            copy_(parameters, self._before)
            self.diverge(replicas)
            copy_(parameters, here)

    def diverge(self, replicas: list[int]) -> None:
        """The last row and the last scores of replicas whose next step is not finite."""
        self.step += 1
        position = self.position("train", "fast")
        with self.clock.time("io"):
            self.log.row(position, self.step_losses(), replicas)
        self.step -= 1
        self.evaluate(final=True, replicas=replicas)
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
                position = self.position("train", "fast")
                self.log.row(position, self.step_losses() | self.task.train_metrics(), self.living())

    def living(self) -> list[int] | None:
        """The replicas still in the running; None where that is all of them."""
        if not self.stopped:
            return None
        return [r for r in range(self.task.replicas) if r not in self.stopped]

    # ---------------------------------------------------------------------------------------------------- evaluation

    def evaluate(self, *, final: bool, replicas: list[int] | None = None) -> None:
        """Rows for the fast weights, and for the slow or average ones where the optimizer has them.

        final: every split; otherwise only the first, which is the one for choosing. replicas: whose rows to write.
        """
        replicas = self.living() if replicas is None else replicas
        fast: list[tuple[str, Scores]] = []
        with self.clock.time("eval"):
            for kind in self.kinds:
                scored = fast  # right after a sync the slow weights are the fast ones: same scores
                swap = evaluation_weights_differ(self.optimizer, kind)
                if kind == "fast" or swap:
                    context = evaluation_weights(self.optimizer, kind)
                    statistics = self.task.restored_statistics(reestimate=swap)
                    with context, torch.no_grad(), self.oracle.autocasting(), statistics:
                        scored = self._scores(final)
                if kind == "fast":
                    fast = scored
                for split, scores in scored:
                    self.log.row(self.position(split, kind), scores, replicas)
        better = self.log.improved()
        if better and self.step > 0 and self.task.batches_per_epoch:
            with self.clock.time("io"), evaluation_weights(self.optimizer):
                self.log.best(better, self.task.state_dict())

    def _scores(self, final: bool) -> list[tuple[str, Scores]]:
        generator = self.task.evaluate()
        return list(generator) if final else [next(generator)]

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
            "evaluations": self.oracle.evaluations,
            "step_calls": self._step_calls,
            "row_step": self._row_step,
            "seconds": dict(self.clock.seconds),
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": {k: v for k, v in self.scheduler.state_dict().items() if k != "lr_lambdas"},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self._step_calls, self._row_step = state["step"], state["step_calls"], state["row_step"]
        self.oracle.draws, self.oracle.gradients = state["draws"], state["gradients"]
        self.oracle.evaluations = state["evaluations"]
        self.clock.seconds = dict(state["seconds"])
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"] | {"lr_lambdas": [None] * len(self.scheduler.lr_lambdas)})


def integral(value: float) -> int | float:
    """5.0 -> 5; 2.5 stays."""
    return int(value) if float(value).is_integer() else round(value, 9)

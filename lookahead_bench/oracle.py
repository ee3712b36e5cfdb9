"""One evaluation of the operator F: a batch, every asked player's gradient of its own loss, checked and counted."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lookahead_bench.seeds import derive
from lookahead_bench.tasks.base import Batch, Task


class Diverged(Exception):
    """The loss or a gradient is not finite; raised before any optimizer can use it."""


class Oracle:
    """The closure of every optimizer: `oracle()` puts F(z) at the current point z into `.grad`.

    task       players, losses, batches
    seed       of the run; dropout masks are a function of it and of the number of the evaluation
    resample   "step": one batch for all evaluations of a step; "call": a fresh one for each
    clip_norm  bound on the Euclidean norm of the evaluated gradient (of each replica by itself); None: none
    autocast   dtype of the forward pass under autocast; None: the parameters' own
    on_death   told the replicas that an evaluation loses, before any optimizer meets their gradients

    Counts: `draws` batches so far, `gradients` players' gradients so far, `evaluations` calls so far.
    """

    def __init__(
        self, task: Task, *, seed: int, resample: str, clip_norm: float | None, autocast: torch.dtype | None
    ) -> None:
        self.task, self.seed, self.resample, self.clip_norm, self.autocast = task, seed, resample, clip_norm, autocast
        self.device = next(iter(task.players.values()))[0].device
        self.draws = self.gradients = self.evaluations = 0
        self.alive = torch.ones(task.replicas, dtype=torch.bool, device=self.device)
        self.on_death: Callable[[list[int]], None] = lambda replicas: None
        self.died: list[int] = []  # replicas lost in this step
        self.losses: dict[str, Tensor] = {}  # of each player's first evaluation of this step
        self._batch: Batch = None
        self._have_batch = False
        self._any_dead = False

    @property
    def calls(self) -> float:
        """Oracle calls so far: evaluations of the whole operator; one of two players' gradients is half a call."""
        return self.gradients / len(self.task.players)

    def begin_step(self) -> None:
        """Forget the last step's batch and losses."""
        self._have_batch = False
        self.losses = {}
        self.died = []

    def autocasting(self) -> contextlib.AbstractContextManager[object]:
        """The precision of forward passes, for training and for scoring."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def __call__(self, players: Sequence[str] | None = None) -> Tensor:
        """Evaluate the gradients of `players` (default: all); return the sum of their losses."""
        task = self.task
        names = list(task.players) if players is None else list(players)
        parameters = [p for name in names for p in task.players[name]]
        for parameter in parameters:
            parameter.grad = None
        if not self._have_batch or self.resample == "call":
            self._batch = task.batch(self.draws)
            self._have_batch = True
            self.draws += 1
        if task.has_dropout:
            torch.manual_seed(derive(self.seed, "dropout", self.evaluations))
        # Running statistics move in a player's first evaluation of a step only: the later ones stand elsewhere.
        with task.frozen_statistics(all(name in self.losses for name in names)):
            with self.autocasting():
                losses = task.losses(self._batch, names)
            task.backward(losses)
        self.evaluations += 1
        self.gradients += len(names)
        detached = {name: loss.detach() for name, loss in losses.items()}
        self.losses = detached | self.losses
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = functools.reduce(torch.add, detached.values()).sum()
        if self._any_dead or not finite(torch.stack([*torch._foreach_norm(gradients, math.inf), total]).sum()):
            self._check(gradients, detached)  # exactly: a sum of finite numbers may overflow
        if self.clip_norm is not None:
            if task.replicas == 1:
                torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
            else:
                clip_replicas(gradients, self.clip_norm)
        return total

    def _check(self, gradients: list[Tensor], losses: dict[str, Tensor]) -> None:
        if self.task.replicas > 1:
            self._check_replicas(gradients, losses)
        elif not all(bool(torch.isfinite(t).all()) for t in (*losses.values(), *gradients)):
            raise Diverged

    def _check_replicas(self, gradients: list[Tensor], losses: dict[str, Tensor]) -> None:
        """Each replica diverges by itself: its gradient is zero from then on, and the others never notice."""
        largest = torch.stack([*(g.flatten(1).abs().amax(1) for g in gradients), *losses.values()])
        lost = self.alive & ~torch.isfinite(largest).all(0)
        if bool(lost.any()):
            self.alive &= ~lost
            self._any_dead = True
            dead = lost.nonzero().flatten().tolist()
            self.died += dead
            self.on_death(dead)
        if self._any_dead:
            for gradient in gradients:
                gradient[~self.alive] = 0.0


def finite(number: Tensor) -> bool:
    return math.isfinite(number.item())


def clip_replicas(gradients: list[Tensor], clip_norm: float) -> None:
    """Scale each replica's joint gradient to a Euclidean norm of at most `clip_norm`, as clip_grad_norm_ does."""
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)
    factor = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))

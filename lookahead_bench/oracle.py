"""One evaluation of the operator F: a batch, every asked player's gradient of its own loss, checked and counted."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lookahead_bench.ranks import ALONE, Ranks
from lookahead_bench.tasks.base import Batch, Call, Task


class Diverged(Exception):
    """The loss or a gradient is not finite; raised before any optimizer can use it."""


class Oracle:
    """The closure of every optimizer: `oracle()` puts F(z) at the current point z into `.grad`.

    task       players, losses, batches
    seed       of the run; what is random is a function of it and of the number of the draw
    resample   "step": one batch for all evaluations of a step; "call": a fresh one for each
    clip_norm  bound on the Euclidean norm of the evaluated gradient (of each replica by itself); None: none
    autocast   dtype of the forward pass under autocast; None: the parameters' own
    ranks      the processes that share the evaluation: each has its part of the batch, and all have the means

    calls_a_step   how often the optimizer evaluates in a step
    waits          whether numbers are looked at in every evaluation. A GPU would have to be waited for, so there they
                   are looked at from the last evaluation of a step on, before the update that would use them: every
                   wrapper puts the parameters back when its closure raises
    on_lost        told the replicas that are not finite any more, before any optimizer meets their gradients
    on_gradients   told whose gradients are there, when they are what the optimizer shall use

    Counts: `draws` batches so far, `gradients` players' gradients so far.
    """

    def __init__(
        self, task: Task, *, seed: int, resample: str, clip_norm: float | None, autocast: torch.dtype | None,
        ranks: Ranks = ALONE,
    ) -> None:  # fmt: skip
        self.task, self.seed, self.resample, self.clip_norm, self.autocast = task, seed, resample, clip_norm, autocast
        self.ranks = ranks
        self.device = next(iter(task.players.values()))[0].device
        self.draws = self.gradients = 0
        self.calls_a_step = 1
        self.waits = self.device.type == "cpu"
        self.alive = torch.ones(task.replicas, dtype=torch.bool, device=self.device)
        self.on_lost: Callable[[list[int]], None] = lambda replicas: None
        self.on_gradients: Callable[[Sequence[str]], None] = lambda players: None
        self.losses: dict[str, Tensor] = {}  # of each player's first evaluation of this step
        self._batch: Batch = None
        self._have_batch = False
        self._evaluated = 0  # in this step
        self._finite: Tensor | None = None  # which replicas' numbers are, of the evaluations not looked at yet
        self._any_lost = False

    @property
    def calls(self) -> float:
        """Oracle calls so far: evaluations of the whole operator; one of two players' gradients is half a call."""
        return self.gradients / len(self.task.players)

    def begin_step(self) -> None:
        """Forget the last step's batch and losses."""
        self._have_batch = False
        self.losses = {}
        self._evaluated = 0

    def autocasting(self) -> contextlib.AbstractContextManager[object]:
        """The precision of forward passes, for training and for scoring."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def __call__(self, players: Sequence[str] | None = None) -> Tensor:
        """Evaluate the gradients of `players` (default: all); return the sum of their losses."""
        task = self.task
        names = tuple(task.players if players is None else players)
        parameters = [p for name in names for p in task.players[name]]
        for parameter in parameters:
            parameter.grad = None
        fresh = not self._have_batch or self.resample == "call"
        if fresh:
            self._batch = self.ranks.part(task.batch(self.draws), task.batch_dim)
            self._have_batch = True
            self.draws += 1
        first = tuple([name for name in names if name not in self.losses])
        with self.autocasting():
            losses = task.losses(self._batch, Call(names, self.draws - 1, fresh, first, self.seed))
        task.backward(losses)
        self._evaluated += 1
        self.gradients += len(names)
        detached = {name: loss.detach() for name, loss in losses.items()}
        gradients = [p.grad for p in parameters if p.grad is not None]
        self.ranks.average([*gradients, *detached.values()])
        self.losses = detached | self.losses
        total = functools.reduce(torch.add, detached.values()).sum()
        if not self.waits or self._any_lost or not finite(gradients, total):
            self._watch(gradients, detached)
        if self.clip_norm is not None:
            if task.replicas == 1:
                torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
            else:
                clip_replicas(gradients, self.clip_norm)
        self.on_gradients(names)
        return total

    def _watch(self, gradients: list[Tensor], losses: dict[str, Tensor]) -> None:
        """Note on the device whose numbers are finite; the gradients of all other replicas are zero from now on."""
        if self.task.replicas == 1:
            largest = torch.stack([*torch._foreach_norm(gradients, math.inf), *losses.values()]).unsqueeze(1)
        else:
            largest = torch.stack([*(g.flatten(1).abs().amax(1) for g in gradients), *losses.values()])
        here = torch.isfinite(largest).all(0)
        self._finite = here if self._finite is None else self._finite & here
        if self.task.replicas > 1:
            lost = ~(self.alive & self._finite)
            for gradient in gradients:
                gradient.masked_fill_(lost.view(-1, *[1] * (gradient.dim() - 1)), 0.0)
        if self.waits or self._evaluated >= self.calls_a_step:
            self.look()

    def look(self) -> None:
        """Act on what has been noted: a run ends here, a replica ends by itself, and the others never notice."""
        if self._finite is None:
            return
        lost = self.alive & ~self._finite
        self._finite = None
        if bool(lost.any()):
            if self.task.replicas == 1:
                raise Diverged
            self.alive &= ~lost
            self._any_lost = True
            self.on_lost(lost.nonzero().flatten().tolist())


def finite(gradients: list[Tensor], loss: Tensor) -> bool:
    """Whether all numbers are, at the price of one sum; false as well where finite ones are so large that it is not.

    Euclidean norms: on a processor they take a tenth of the time that the largest absolute value takes.
    """
    return math.isfinite(torch.stack([*torch._foreach_norm(gradients), loss]).sum().item())


def clip_replicas(gradients: list[Tensor], clip_norm: float) -> None:
    """Scale each replica's joint gradient to a Euclidean norm of at most `clip_norm`, as clip_grad_norm_ does."""
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)
    factor = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))

"""Scores and pictures of every kind of weights that an optimizer has: as they are, or as lost replicas had them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lookahead_bench.log import Log
from lookahead_bench.optim.evaluation import evaluation_kinds, evaluation_weights, evaluation_weights_differ
from lookahead_bench.optim.foreach import clones, copy_
from lookahead_bench.oracle import Oracle
from lookahead_bench.tasks.base import Scores, Task

Kept = dict[str, list[Tensor] | None]  # kind -> some replicas' rows; None: what the parameters held


@dataclass(frozen=True)
class Moment:
    """What to score.

    replicas  whose rows to write; None: everyone's
    draws     batches so far
    counts    how every row begins
    weights   those of lost replicas, kept in the middle of their last step; None: the weights as they are
    """

    replicas: list[int] | None
    draws: int
    counts: dict[str, Any]
    weights: Kept | None = None


class Evaluator:
    """Writes a row for each split and kind of weights; the last kind is what the method is judged by.

    baseline: the kind that is scored for comparison only, and comes first.
    batchnorm: the statistics that weights are scored with: "estimated" anew for every kind, "running" (those of the
    training, which are the fast weights') for every kind, or "mixed": estimated where the weights differ from the fast
    ones, running where they do not.
    """

    def __init__(
        self, task: Task, optimizer: torch.optim.Optimizer, oracle: Oracle, log: Log, *,
        baseline: str | None = None, batchnorm: str = "mixed",
    ) -> None:  # fmt: skip
        self.task, self.optimizer, self.oracle, self.log = task, optimizer, oracle, log
        self.batchnorm = batchnorm
        self.kinds = sorted(evaluation_kinds(optimizer), key=lambda kind: kind != baseline)
        self.parameters: list[Tensor] = [p for params in task.players.values() for p in params]

    def evaluate(self, moment: Moment, *, final: bool) -> None:
        """final: every split; otherwise only the first, which is the one for choosing."""
        unchanged: list[tuple[str, Scores]] = []  # of the parameters as they are
        for kind in self.kinds:
            differ = self._differ(kind, moment)
            estimated = differ if self.batchnorm == "mixed" else self.batchnorm == "estimated"
            statistics = self.task.restored_statistics(reestimate=estimated)
            with self.in_place(kind, moment), torch.no_grad(), self.oracle.autocasting(), statistics:
                # Right after a sync the slow weights are the fast ones: same scores.
                scored = unchanged if unchanged and not differ else self._scores(moment.draws, final)
                if self.task.replicas == 1:
                    position = moment.counts | {"weights": kind}
                    for name, picture in self.task.pictures(position, final, self.log.rows):
                        self.log.picture(position, name, picture)
            unchanged = unchanged if differ else scored
            for split, scores in scored:
                self.log.row(moment.counts | {"split": split, "weights": kind}, scores, moment.replicas)

    def _scores(self, draws: int, final: bool) -> list[tuple[str, Scores]]:
        generator = self.task.evaluate(draws)
        return list(generator) if final else [next(generator)]

    def _differ(self, kind: str, moment: Moment) -> bool:
        if moment.weights is None:
            return evaluation_weights_differ(self.optimizer, kind)
        return moment.weights[kind] is not None

    @contextlib.contextmanager
    def in_place(self, kind: str, moment: Moment) -> Iterator[None]:
        """This kind of weights in place of the parameters, which are back afterwards bit for bit."""
        if moment.weights is None:
            with evaluation_weights(self.optimizer, kind):
                yield
            return
        here = clones(self.parameters)
        if (values := moment.weights[kind]) is not None:
            self.put(moment.replicas, values)
        try:
            yield
        finally:
            with torch.no_grad():
                copy_(self.parameters, here)

    def kept(self, replicas: list[int]) -> Kept:
        """Copies of what these replicas would be scored with now: a sync or an average may move it in this step."""
        kept: Kept = dict.fromkeys(self.kinds)
        for kind in self.kinds:
            if evaluation_weights_differ(self.optimizer, kind):
                with evaluation_weights(self.optimizer, kind):
                    kept[kind] = [p.detach()[self._rows(replicas)].clone() for p in self.parameters]
        return kept

    @torch.no_grad()
    def put(self, replicas: list[int] | None, values: list[Tensor]) -> None:
        """Set the parameters of these replicas."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter[self._rows(replicas)] = value

    def _rows(self, replicas: list[int] | None) -> Any:
        """The index of replicas in every parameter; a single run's have no dimension for it."""
        return replicas if self.task.replicas > 1 else ...

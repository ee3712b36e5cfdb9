"""Problems whose operator is a formula: no autograd graph, and all numbers of all replicas in one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.optim import Ball, Box
from lookahead_bench.tasks.base import Batch, Call, Picture, Rows, Scores, Task
from lookahead_bench.tasks.noise import Array, Stream, normal, rng


class ClosedForm(Task):
    """P players of d numbers each; a subclass writes down the operator and the losses.

    start      the first point, shape [P, d] for all seeds alike, or [R, P, d]
    solution   a known zero of F (or nearest one), shaped alike; None where there is none
    spread     standard deviation of each seed's own displacement of the start
    noise      standard deviation of the noise that every evaluation adds to every number of F
    seeds      one a replica; dtype, device: of the parameters

    `point` holds the joint point, shape [P, d], or [P, R, d] with R > 1 replicas; the players' parameters are its
    rows, so a formula over `point` reads what the optimizer wrote. Rows carry the distance to the solution, the norm
    of F without noise, the mean contraction of the distance for each batch drawn (one a step unless resample=call),
    and for two numbers a replica the coordinates x and y.
    """

    every_step = True

    def __init__(
        self, players: Sequence[str], start: Array, solution: Array | None = None, *, spread: float = 0.0,
        noise: float = 0.0, seeds: Sequence[int], dtype: torch.dtype, device: torch.device | str,
    ) -> None:  # fmt: skip
        self.replicas, self.seeds, self.dtype, self.device = len(seeds), list(seeds), dtype, device
        shape = (self.replicas, *start.shape[-2:])
        first = np.broadcast_to(start, shape).copy()
        if spread:
            first += [spread * rng(seed, "init").standard_normal(shape[1:]) for seed in seeds]
        self.point = self.tensor(first)
        self.solution = None if solution is None else self.tensor(np.broadcast_to(solution, shape))
        self.players = {name: [nn.Parameter(self.point[i])] for i, name in enumerate(players)}
        self._stream = Stream(normal(shape[1], shape[2], noise), seeds, "noise", dtype, device) if noise else None
        self._operator = self.point
        self._first_distance = self.distance() if self.solution is not None else None

    def tensor(self, values: Array) -> Tensor:
        """[R, P, d] -> [P, d] or [P, R, d], on the device."""
        moved = values[0] if self.replicas == 1 else np.moveaxis(values, 0, 1)
        return torch.from_numpy(np.array(moved, order="C")).to(self.device, self.dtype)

    def column(self, values: Sequence[float | Sequence[float]]) -> Tensor:
        """One number a player, or one for each of its replicas, shaped to multiply `point`."""
        column = torch.tensor(values, dtype=self.dtype, device=self.device)
        return column.view(*column.shape, *[1] * (self.point.dim() - column.dim()))

    def project(self) -> None:
        """Move the start to the nearest point of the constraint (a spread may have left it)."""
        if self.constraint is not None:
            with torch.no_grad():
                self.constraint([p for params in self.players.values() for p in params])

    # ------------------------------------------------------------------------------------------- the problem itself

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        """F(z), shaped like z, and every player's loss, shape [] (or [R]); `batch` None: the mean over batches."""
        raise NotImplementedError

    def scores(self) -> Scores:
        """Further metrics at the current point."""
        return {}

    # ----------------------------------------------------------------------------------------------- as a task is

    def batch(self, draw: int) -> Batch:
        return self._stream(draw) if self._stream is not None else None

    def losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        operator, losses = self.formulas(self.point, batch)
        if self._stream is not None and batch is not None:
            operator = operator + batch
            losses = [loss + inner for loss, inner in zip(losses, (self.point * batch).sum(-1), strict=True)]
        self._operator = operator
        named = dict(zip(self.players, losses, strict=True))
        return named if len(call.players) == len(named) else {name: named[name] for name in call.players}

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        for (name, (parameter,)), gradient in zip(self.players.items(), self._operator.unbind(0), strict=True):
            if name in losses:
                parameter.grad = gradient

    def distance(self) -> Tensor:
        """Euclidean distance of the joint point to the solution, of each replica."""
        assert self.solution is not None
        return norm(self.point - self.solution)

    def train_metrics(self, draws: int) -> Scores:
        metrics: Scores = {}
        if self._first_distance is not None:
            metrics["distance"] = distance = self.distance()
            if draws:
                metrics["rate"] = (distance / self._first_distance) ** (1 / draws)
        metrics["operator_norm"] = norm(self.formulas(self.point, None)[0])
        metrics |= self.scores()
        if self.point.shape[0] * self.point.shape[-1] == 2:
            metrics["x"], metrics["y"] = self.point.movedim(1, -1).reshape(2, -1).squeeze(-1).unbind(0)
        return metrics

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        yield "test", self.train_metrics(draws)

    def pictures(self, position: Mapping[str, Any], final: bool, rows: Rows) -> Iterable[tuple[str, Picture]]:
        """The path of a run of two numbers, at its end."""
        if not (final and position["step"] and position["weights"] == "fast" and self.point.numel() == 2):
            return
        from lookahead_bench.tasks.trajectory import draw_trajectory, path_of

        if len(path := path_of(rows())) > 1:
            yield "trajectory", draw_trajectory(path)


def norm(values: Tensor) -> Tensor:
    """[P, d] -> [], [P, R, d] -> [R]: the Euclidean norm over players and numbers."""
    largest = values.abs().amax((0, -1), keepdim=True)
    scale = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)  # the squares of large numbers overflow
    length: Tensor = torch.linalg.vector_norm(values / scale, dim=(0, -1)) * scale.squeeze(-1).squeeze(0)
    return length


def constraint_of(node: Mapping[str, Any], replicas: int) -> Box | Ball | None:
    """`box: [low, high]`, or one pair a player (null: free); `ball: radius`; both null: no constraint."""
    if node.get("ball") is not None:
        return Ball(float(node["ball"]), replicas=replicas)
    if node.get("box") is None:
        return None
    low, high = bounds(node["box"])
    return Box(low, high)


def bounds(box: Sequence[Any]) -> tuple[list[float], list[float]]:
    """[-1, 1] or [null, [-1, 1]] -> the lower and the upper bound of each of two players."""
    pairs = box if any(not isinstance(side, int | float) for side in box) else [box, box]
    sides = [(-np.inf, np.inf) if pair is None else pair for pair in pairs]
    return [float(low) for low, _ in sides], [float(high) for _, high in sides]

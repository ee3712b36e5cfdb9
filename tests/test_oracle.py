"""One evaluation of F: batches, counts, clipping, statistics and the check before the update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookahead_bench.optim import Alternating, ProximalPoint
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.tasks.base import Scores, Task


class Game(Task):
    """min_x max_y b x y, where the batch b is the number of the draw, starting from 1."""

    def __init__(self, replicas: int = 1) -> None:
        shape = (2,) if replicas == 1 else (replicas, 2)
        self.replicas = replicas
        self.x, self.y = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.full(shape, 2.0))
        self.players = {"x": [self.x], "y": [self.y]}

    def batch(self, draw: int) -> Tensor:
        return torch.tensor(float(draw + 1))

    def losses(self, batch: Tensor, players: Sequence[str]) -> dict[str, Tensor]:
        value = batch * (self.x * self.y).sum(-1)
        return {name: value if name == "x" else -value for name in players}

    def evaluate(self) -> Iterator[tuple[str, Scores]]:
        yield "test", {"distance": self.x.detach().norm()}


def oracle(task: Task, **changed: Any) -> Oracle:
    settings: dict[str, Any] = {"seed": 1, "resample": "step", "clip_norm": None, "autocast": None}
    return Oracle(task, **settings | changed)


def test_each_player_gets_the_gradient_of_its_own_loss() -> None:
    task = Game()
    value = oracle(task)()
    assert task.x.grad is not None
    assert task.x.grad.tolist() == [2.0, 2.0]  # b y
    assert task.y.grad is not None
    assert task.y.grad.tolist() == [-1.0, -1.0]  # -b x
    assert value.item() == 0.0  # x's loss and y's


def test_only_the_asked_players_gradients_move() -> None:
    task = Game()
    oracle(task)(players=["y"])
    assert task.x.grad is None
    assert task.y.grad is not None


@pytest.mark.parametrize(("resample", "draws"), [("step", 1), ("call", 2)])
def test_a_step_of_extragradient_draws_one_batch_or_two(resample: str, draws: int) -> None:
    task = Game()
    evaluate = oracle(task, resample=resample)
    optimizer = ProximalPoint(torch.optim.SGD([task.x, task.y], lr=0.1))
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert (evaluate.draws, evaluate.evaluations, evaluate.calls) == (draws, 2, 2.0)
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert evaluate.draws == 2 * draws


def test_one_gradient_of_two_is_half_a_call() -> None:
    task = Game()
    evaluate = oracle(task)
    groups = [{"params": [task.x], "player": "x"}, {"params": [task.y], "player": "y"}]
    optimizer = Alternating(torch.optim.SGD(groups, lr=0.1), order=[["x"], ["y"], ["y"]])
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert evaluate.calls == 1.5
    assert evaluate.draws == 1


def test_clipping_scales_the_joint_gradient() -> None:
    task = Game()
    oracle(task, clip_norm=1.0)()
    assert task.x.grad is not None
    assert task.y.grad is not None
    norm = (task.x.grad.square().sum() + task.y.grad.square().sum()).sqrt()
    assert norm.item() == pytest.approx(1.0, abs=1e-5)
    assert (task.x.grad[0] / task.y.grad[0]).item() == pytest.approx(-2.0)


def test_each_replica_is_clipped_by_itself() -> None:
    task = Game(replicas=2)
    with torch.no_grad():
        task.x[1], task.y[1] = 0.01, 0.01  # a small gradient, which clipping must leave alone
    oracle(task, clip_norm=1.0)()
    assert task.x.grad is not None
    assert task.y.grad is not None
    norms = torch.cat([task.x.grad, task.y.grad], dim=1).norm(dim=1)
    assert norms.tolist() == pytest.approx([1.0, 0.02], abs=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_never_reaches_the_weights(value: float) -> None:
    task = Game()
    with torch.no_grad():
        task.y[0] = value
    before = task.x.detach().clone()
    optimizer = torch.optim.SGD([task.x], lr=0.1)
    evaluate = oracle(task)
    with pytest.raises(Diverged):
        optimizer.step(evaluate)  # type: ignore[arg-type]
    assert torch.equal(task.x, before)


def test_numbers_whose_sum_overflows_are_finite() -> None:
    task = Game()
    with torch.no_grad():
        task.x[:], task.y[:] = 1e-30, 3e38
    oracle(task)()
    assert task.x.grad is not None
    assert torch.isfinite(task.x.grad).all()


def test_a_diverging_replica_stops_alone() -> None:
    task = Game(replicas=3)
    with torch.no_grad():
        task.y[1] = float("nan")
    evaluate = oracle(task)
    evaluate.begin_step()
    evaluate()
    assert evaluate.died == [1]
    assert evaluate.alive.tolist() == [True, False, True]
    assert task.x.grad is not None
    assert task.x.grad.tolist() == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]
    evaluate.begin_step()
    evaluate()
    assert evaluate.died == []


class Normalised(Game):
    """Counts the evaluations that may move running statistics."""

    moved = 0

    def frozen_statistics(self, frozen: bool) -> Any:
        self.moved += not frozen
        return super().frozen_statistics(frozen)


def test_statistics_move_in_each_players_first_evaluation_of_a_step_only() -> None:
    task = Normalised()
    evaluate = oracle(task)
    optimizer = ProximalPoint(torch.optim.SGD([task.x, task.y], lr=0.1), inner=4)
    for step in (1, 2):
        evaluate.begin_step()
        optimizer.step(evaluate)
        assert task.moved == step


class Dropping(Game):
    has_dropout = True

    def losses(self, batch: Tensor, players: Sequence[str]) -> dict[str, Tensor]:
        mask = (torch.rand(2) < 0.5).to(self.x.dtype)
        value = (mask * self.x * self.y).sum() + torch.rand(())
        return {name: value if name == "x" else -value for name in players}


def test_dropout_is_a_function_of_the_seed_and_the_evaluation() -> None:
    def losses(seed: int, disturbed: bool) -> list[float]:
        evaluate = oracle(Dropping(), seed=seed)
        values = []
        for _ in range(4):
            evaluate.begin_step()
            evaluate()
            values.append(evaluate.losses["x"].item())
            if disturbed:
                torch.rand(7)
        return values

    assert losses(1, disturbed=False) == losses(1, disturbed=True)
    assert losses(1, disturbed=False) != losses(2, disturbed=False)
    assert len(set(losses(1, disturbed=False))) == 4

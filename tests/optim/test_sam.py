"""SAM: by hand, its norm, blocks of players, and that it leaves no trace of the second point."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
import torch
from optim_problems import Game, Net, same
from torch import nn
from torch.optim import SGD

from lookahead_bench.optim import SAM, Alternating
from lookahead_bench.optim.wrapper import closure_calls


class Bowl:
    """(x^2 + y^2) / 2: the gradient is the point."""

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = (nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (x, y))
        self.seen: list[tuple[float, float]] = []

    def __call__(self) -> float:
        self.seen.append((self.x.item(), self.y.item()))
        self.x.grad, self.y.grad = self.x.detach().clone(), self.y.detach().clone()
        return sum(v**2 for v in self.seen[-1]) / 2


def test_by_hand_on_a_line() -> None:
    # w <- w - (w + sign w) / 2
    bowl = Bowl(2, 0)
    optimizer = SAM(SGD([bowl.x], lr=0.5), rho=1)
    points = []
    for _ in range(4):
        optimizer.step(bowl)
        points.append(bowl.x.item())
    assert points == [0.5, -0.25, 0.375, -0.3125]


def test_the_norm_is_over_all_parameters() -> None:
    bowl = Bowl(3, 4)  # |g| = 5
    optimizer = SAM(SGD([bowl.x, bowl.y], lr=0.25), rho=5)
    assert optimizer.step(bowl) == 12.5
    assert bowl.seen == [(3, 4), (pytest.approx(6), pytest.approx(8))]
    assert (bowl.x.item(), bowl.y.item()) == pytest.approx((1.5, 2))
    assert len(bowl.seen) == closure_calls(optimizer) == 2


def test_a_parameter_without_gradient_has_no_part() -> None:
    bowl = Bowl(2, 0)
    unused, frozen = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = SAM(SGD([unused, bowl.x, frozen], lr=0.5), rho=1)
    optimizer.step(bowl)
    assert bowl.x.item() == 0.5
    assert unused.tolist() + frozen.tolist() == [1] * 5


def test_where_the_gradient_is_zero_it_stays() -> None:
    bowl = Bowl(0, 0)
    SAM(SGD([bowl.x, bowl.y], lr=0.5), rho=1).step(bowl)
    assert bowl.seen == [(0, 0), (0, 0)]
    assert (bowl.x.item(), bowl.y.item()) == (0, 0)


def test_rho_0_is_the_base() -> None:
    wrapped, plain = Net(), Net()
    sam = SAM(SGD(wrapped.model.parameters(), lr=0.1, momentum=0.9), rho=0)
    base = SGD(plain.model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(6):
        wrapped.evaluations = plain.evaluations  # both evaluations on one batch
        losses = sam.step(lambda: [wrapped(), setattr(wrapped, "evaluations", wrapped.evaluations - 1)][0])
        assert torch.equal(losses, base.step(plain))
        assert same(wrapped.weights(), plain.weights())


def test_weight_decay_acts_at_w() -> None:
    bowl = Bowl(2, 0)
    SAM(SGD([bowl.x], lr=0.5, weight_decay=0.5), rho=1).step(bowl)
    assert bowl.x.item() == 2 - 0.5 * (3 + 0.5 * 2)


def test_over_alternating_every_block_looks_ahead_for_itself() -> None:
    game = Game()
    blocks = [["y"], ["x"], ["y"]]  # y moves twice, the second time from where the first left it
    optimizer = SAM(Alternating(SGD(game.groups(), lr=0.1), blocks), rho=0.5)
    indices = {"x": slice(0, 6), "y": slice(6, 10)}
    z = game.z0.copy()
    for _ in range(3):
        for (player,) in blocks:
            at, ahead = indices[player], z.copy()
            g = game.F(z)[at]
            ahead[at] += 0.5 * g / np.linalg.norm(g)
            z[at] -= 0.1 * game.F(ahead)[at]
        optimizer.step(game)
        np.testing.assert_allclose(game.point(), z, rtol=1e-11)
    assert game.calls == [["y"], ["y"], ["x"], ["x"], ["y"], ["y"]] * 3


@pytest.mark.parametrize(("alternating", "at"), [(False, 1), (False, 2), *((True, at) for at in range(1, 7))])
def test_a_raising_closure_leaves_the_parameters_at_w(alternating: bool, at: int) -> None:
    game = Game()
    base = SGD(game.groups(), lr=0.1)
    optimizer = SAM(Alternating(base, [["y"], ["x"], ["y"]]) if alternating else base, rho=0.5)
    optimizer.step(game)
    before, calls = game.point(), 0

    def failing(players: Collection[str] = ("x", "y")) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise FloatingPointError
        return game(players)

    with pytest.raises(FloatingPointError):
        optimizer.step(failing)
    assert (game.point() == before).all()


@pytest.mark.parametrize("rho", [-0.1, math.inf, math.nan, "0.05", True])
def test_refused(rho: Any) -> None:
    with pytest.raises(ValueError, match="rho must be a finite number >= 0, got"):
        SAM(SGD(Game().groups(), lr=0.1), rho)

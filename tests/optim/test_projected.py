"""Projected, boxes and balls."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Optimizer

from lookahead_bench.optim import Alternating, Averaged, Ball, Box, PastExtragradient, Projected, ProximalPoint

numbers = st.lists(st.floats(-5, 5), min_size=4, max_size=4)


def point(values: list[float], replicas: int = 1) -> list[torch.Tensor]:
    z = torch.tensor(values, dtype=torch.float64)
    return [z[:1].clone(), z[1:].clone().reshape(3, 1)] if replicas == 1 else [z.clone()]


def flat(z: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([p.flatten() for p in z])


def test_a_point_so_far_that_its_square_overflows_goes_to_the_sphere() -> None:
    far, near = torch.full((2,), 1e20), torch.tensor([0.3, 0.4])
    Ball(1.0)([far])
    torch.testing.assert_close(far, torch.full((2,), 0.5**0.5))
    both = torch.stack([torch.full((2,), 1e20), near])
    Ball(1.0, replicas=2)([both])
    torch.testing.assert_close(both[0], torch.full((2,), 0.5**0.5))
    assert torch.equal(both[1], near)


@settings(max_examples=40, deadline=None, database=None)
@given(numbers, st.floats(0.1, 4), st.floats(-1, 1))
def test_ball_is_the_nearest_point(values: list[float], radius: float, center: float) -> None:
    z = point(values)
    Ball(radius, center)(z)
    offset = torch.tensor(values, dtype=torch.float64) - center
    norm = offset.norm()
    if norm <= radius * (1 - 1e-12):
        assert flat(z).tolist() == values  # bit for bit
    elif norm > radius * (1 + 1e-12):
        assert torch.allclose(flat(z), center + offset / norm * radius, rtol=1e-12, atol=1e-12)


def test_ball_of_the_joint_point() -> None:
    z = [torch.tensor(3.0), torch.tensor([4.0])]
    Ball(1.0)(z)
    assert z[0].item() == pytest.approx(0.6)
    assert z[1].item() == pytest.approx(0.8)
    Ball(5.0, center=[0.0, 10.0])(z)
    assert (z[1] - 10).abs().item() < 5


def test_ball_acts_on_each_replica_by_itself() -> None:
    torch.manual_seed(0)
    singles = [[torch.randn(2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)] for _ in range(4)]
    singles[1] = [t / 10 for t in singles[1]]
    stacked = [torch.stack(ps) for ps in zip(*singles, strict=True)]
    Ball(1.5, center=0.1, replicas=4)(stacked)
    for r, single in enumerate(singles):
        Ball(1.5, center=0.1)(single)
        assert all(torch.allclose(p[r], q, rtol=1e-14) for p, q in zip(stacked, single, strict=True))


def test_box() -> None:
    z = [torch.tensor([-3.0, 0.5]), torch.tensor(7.0)]
    Box(-1, [0.0, math.inf])(z)
    assert z[0].tolist() == [-1.0, 0.0]
    assert z[1].item() == 7


def test_non_finite_stays_visible() -> None:
    z = [torch.tensor([math.nan, 1.0])]
    Box(-1, 1)(z)
    Ball(0.5)(z)
    assert z[0].isnan().any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(1, -1), r"lower must be <= upper \(-1\), got 1"),
        (lambda: Box("a", 1), "lower must be a number, or one per parameter"),
        (lambda: Box(0, math.nan), "upper must be a number"),
        (lambda: Ball(0), "radius must be a finite number > 0, got 0"),
        (lambda: Ball(1, replicas=0), "replicas must be an integer >= 1"),
        (lambda: Box([0, 0], 1)([torch.ones(1)]), "lower has 2 numbers for 1 parameters"),
        (lambda: Ball(1, replicas=3)([torch.ones(2)]), r"replicas=3, but a parameter has shape \(2,\)"),
    ],
)
def test_refused_sets(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_needs_a_callable() -> None:
    with pytest.raises(TypeError, match="constraint must be a callable"):
        Projected(SGD([nn.Parameter(torch.ones(1))], lr=0.1), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("constraint", [Box(-1, 1), Ball(1.0)])
def test_a_frozen_parameter_stays_outside(constraint: Any) -> None:
    frozen, free = nn.Parameter(torch.tensor([5.0]), requires_grad=False), nn.Parameter(torch.tensor([5.0]))
    optimizer = Projected(SGD([frozen, free], lr=0.1), constraint)
    free.grad = torch.zeros(1)
    optimizer.step()
    assert frozen.item() == 5
    assert free.item() <= 1


class ClippedBilinear:
    """min over theta, max over phi of theta phi, phi in [-1, 1], from (2, 1/2): Figure 1 of Gidel et al. 2019."""

    def __init__(self) -> None:
        self.theta = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.phi = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        self.box = Box([-math.inf, -1.0], [math.inf, 1.0])

    def sgd(self, lr: float) -> SGD:
        groups = [{"params": [self.theta], "player": "theta"}, {"params": [self.phi], "player": "phi"}]
        return SGD(groups, lr=lr)

    def __call__(self, players: Any = ("theta", "phi")) -> None:
        for name, gradient in (("theta", self.phi.detach().clone()), ("phi", -self.theta.detach().clone())):
            if name in players:
                getattr(self, name).grad = gradient

    def distance_after(self, optimizer: Optimizer, steps: int = 100) -> float:
        for _ in range(steps):
            optimizer.step(self)
        return math.hypot(self.theta.item(), self.phi.item())


@pytest.mark.parametrize(
    ("make", "distance"),
    [  # vi_gan_2019.yaml, closed_form_checks
        (lambda g: Projected(g.sgd(0.1), g.box), 1.077588556308427),
        (lambda g: Alternating(Projected(g.sgd(0.1), g.box), [["phi"], ["theta"]]), 0.9958721691095697),
        (lambda g: Projected(ProximalPoint(g.sgd(0.6)), g.box), 2.673920478053071e-06),
        (lambda g: PastExtragradient(Projected(g.sgd(0.5), g.box), memory="step"), 1.2312088025484128e-13),
    ],
)
def test_figure_1_of_gidel(make: Any, distance: float) -> None:
    game = ClippedBilinear()
    assert game.distance_after(make(game)) == pytest.approx(distance, rel=1e-6)


def test_constraint_holds_after_every_step() -> None:
    game = ClippedBilinear()
    optimizer = Averaged(Projected(ProximalPoint(Projected(game.sgd(2.0), game.box)), game.box))
    for _ in range(20):
        optimizer.step(game)
        assert abs(game.phi.item()) <= 1

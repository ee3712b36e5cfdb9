"""ProximalPoint: rounding, exceptions, the base's hooks and counters, bases that it cannot serve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from optim_problems import Game, Net, same
from torch import nn
from torch.optim import LBFGS, SGD, Adam, Optimizer, RAdam

from lookahead_bench.optim import SAM, Alternating, Lookahead, PastExtragradient, ProximalPoint


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: Adam(p), lambda p: RAdam(p)])
@pytest.mark.parametrize("alternating", [False, True])
def test_inner_1_is_the_base(make: Any, alternating: bool) -> None:
    wrapped, plain = Net(), Net()
    optimizers = []
    for net in (wrapped, plain):
        base = make([{"params": ps, "player": name} for name, ps in net.players.items()])
        optimizers.append(Alternating(base, [["x"], ["y"], ["x"]]) if alternating else base)
    proximal = ProximalPoint(optimizers[0], inner=1)
    for _ in range(6):
        assert torch.equal(proximal.step(wrapped), optimizers[1].step(plain))
        assert same(wrapped.weights(), plain.weights())


def test_inner_1_needs_no_closure() -> None:
    p = nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    ProximalPoint(SGD([p], lr=0.5), inner=1, relaxation=0.5).step()
    assert p.item() == 0.75


def test_small_steps_are_not_lost_to_rounding() -> None:
    # From 1, steps of 3e-8 round to 1 or one ulp below; the base's own step from the anchor is what it would be alone.
    p = nn.Parameter(torch.ones(1))
    optimizer = ProximalPoint(SGD([p], lr=1.0), inner=3)

    def constant() -> None:
        p.grad = torch.full_like(p, 4e-8)

    optimizer.step(constant)
    assert p.item() == (torch.ones(1) - 4e-8).item() < 1


def test_returns_the_first_loss_and_calls_as_often_as_it_says() -> None:
    game = Game()
    first = float(np.linalg.norm(game.F(game.z0)))
    loss = ProximalPoint(SGD(game.groups(), lr=0.1), inner=4).step(game)
    assert loss.item() == pytest.approx(first)
    assert len(game.calls) == 4


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("alternating", [False, True])
def test_a_raising_closure_leaves_the_parameters_at_the_anchor(at: int, alternating: bool) -> None:
    game = Game()
    base: Optimizer = SGD(game.groups(), lr=0.1)
    optimizer = ProximalPoint(Alternating(base) if alternating else base, inner=3, relaxation=0.5)
    optimizer.step(game)
    anchor = game.point()
    calls = 0

    def failing(players: Any = ("x", "y")) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise FloatingPointError
        return game(players)

    with pytest.raises(FloatingPointError):
        optimizer.step(failing)
    assert (game.point() == anchor).all()


def test_over_alternating_only_the_evaluated_player_goes_back() -> None:
    game = Game()
    optimizer = ProximalPoint(Alternating(SGD(game.groups(), lr=0.1), [["y"], ["x"]]), inner=2)
    x, y = game.z0[:6], game.z0[6:]
    xt, yt = x, y
    for _ in range(2):
        yt = y - 0.1 * game.F(np.r_[xt, yt])[6:]
        xt = x - 0.1 * game.F(np.r_[xt, yt])[:6]
    optimizer.step(game)
    np.testing.assert_allclose(game.point(), np.r_[xt, yt], rtol=1e-12)
    assert game.calls == [["y"], ["x"]] * 2


def test_weight_decay_of_the_base_acts_once_at_the_anchor() -> None:
    p = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = ProximalPoint(SGD([p], lr=0.1, weight_decay=0.5), inner=5)

    def zero() -> None:
        p.grad = torch.zeros_like(p)

    optimizer.step(zero)
    assert p.item() == pytest.approx(0.95)


def test_bases_hooks_and_adams_counter_advance_inner_times() -> None:
    game = Game()
    base = Adam(game.groups())
    counted = []
    base.register_step_post_hook(lambda *_: counted.append(1))
    ProximalPoint(base, inner=3).step(game)
    assert len(counted) == 3
    assert base.state[game.x]["step"].item() == 3


def test_keeps_nothing_between_steps() -> None:
    game = Game()
    optimizer = ProximalPoint(SGD(game.groups(), lr=0.1))
    optimizer.step(game)
    assert optimizer.state_dict()["wrappers"] == [{"kind": "ProximalPoint"}]


@pytest.mark.parametrize(
    ("rho", "gamma", "factors"),
    [  # published in closed form for the quadratic game, rapp_2023.yaml: EG, EG+, RAPP, LA-GDA
        (-0.1, 0.5, (0.973396, 0.943067, 0.938315, 0.998515)),
        (-1 / 3, 0.9, (1.513968, 1.076116, 0.845959, 1.135454)),
    ],
)
def test_rates_on_the_quadratic_game(rho: float, gamma: float, factors: tuple[float, ...]) -> None:
    a, b = math.sqrt(1 - rho**2), rho
    z = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def F() -> None:
        x, y = z.detach()
        z.grad = torch.stack([a * y + b * x, -a * x + b * y])

    def sgd() -> Optimizer:
        return SGD([z], lr=gamma)

    methods = [
        (ProximalPoint(sgd()), 1),
        (ProximalPoint(sgd(), relaxation=0.5), 1),
        (ProximalPoint(sgd(), inner=20, relaxation=0.5), 1),
        (Lookahead(sgd(), k=2, alpha=0.25), 2),
    ]
    for (optimizer, calls), factor in zip(methods, factors, strict=True):
        with torch.no_grad():
            z.copy_(torch.tensor([1.0, 0.5]))
        for _ in range(8 * calls):
            optimizer.step(F)
        rate = (z.detach().norm().item() / math.sqrt(1.25)) ** (1 / 8)
        assert rate == pytest.approx(factor, abs=2e-6)


class Twice(SGD):
    def step(self, closure: Any = None) -> Any:
        closure()
        return super().step(closure)


class Deaf(SGD):
    def step(self, closure: Any = None) -> Any:
        return super().step()


@pytest.mark.parametrize("method", [ProximalPoint, PastExtragradient, SAM])
class TestBasesItCannotServe:
    def test_lbfgs_is_refused(self, method: Any) -> None:
        p = nn.Parameter(torch.ones(2))
        with pytest.raises(ValueError, match="LBFGS does not call its closure once a step: take a first-order base"):
            method(LBFGS([p]))

    @pytest.mark.parametrize("base", [Twice, Deaf])
    def test_others_are_stopped_at_their_first_step(self, method: Any, base: Any) -> None:
        game = Game()
        optimizer = method(base(game.groups(), lr=0.1))
        with pytest.raises(RuntimeError, match=f"{base.__name__} does not call its closure once a step"):
            optimizer.step(game)
        assert (game.point() == game.z0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": 0}, "inner must be an integer >= 1, got 0"),
        ({"inner": 1.5}, "inner must be"),
        ({"relaxation": 0.0}, "relaxation must be a finite number > 0 and <= 1, got 0.0"),
        ({"relaxation": 2}, "relaxation must be"),
        ({"relaxation": float("nan")}, "relaxation must be"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProximalPoint(SGD(Game().groups(), lr=0.1), **values)

"""PastExtragradient: its two memories, exceptions, alternation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optim_problems import Game
from torch.optim import SGD, Adam

from lookahead_bench.optim import Alternating, PastExtragradient


def test_past_reflected_and_optimistic_gradient_are_one_method() -> None:
    # single_call_eg_2019.yaml: with X_0 = X_1, V_{1/2} = 0 and a constant step all X_t agree
    gradient, step = Game(), Game()
    by_gradient = PastExtragradient(SGD(gradient.groups(), lr=0.1))
    by_step = PastExtragradient(SGD(step.groups(), lr=0.1), memory="step")
    reflected = before = gradient.z0
    leading = optimistic = gradient.z0
    past: Any = np.zeros(10)
    for _ in range(20):
        by_gradient.step(gradient)
        by_step.step(step)
        reflected, before = reflected - 0.1 * gradient.F(2 * reflected - before), reflected
        leading = optimistic - 0.1 * past
        present = gradient.F(leading)
        optimistic, past = leading + 0.1 * past - 0.1 * present, present
        for point in (step.point(), reflected, optimistic):
            np.testing.assert_allclose(gradient.point(), point, rtol=1e-11, atol=1e-13)


def test_optimistic_adam_in_its_own_form() -> None:
    # Daskalakis et al. 2018, on the leading point: h <- h - 2 (lr mhat / sqrt vhat)_t + (lr mhat / sqrt vhat)_{t-1}
    game = Game()
    optimizer = PastExtragradient(Adam(game.groups(), lr=0.01, betas=(0.5, 0.9)), memory="step")
    h, m, v, last = game.z0, np.zeros(10), np.zeros(10), np.zeros(10)
    for t in range(1, 20):
        g = game.F(h)
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        move = 0.01 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
        h, last = h - 2 * move + last, move
        optimizer.step(game)
        np.testing.assert_allclose(game.point() - move, h, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("memory", "moves"), [("gradient", 1 + 2 * 4), ("step", 5)])
def test_one_oracle_call_a_step(memory: str, moves: int) -> None:
    game = Game()
    base = Adam(game.groups())
    optimizer = PastExtragradient(base, memory=memory)
    for _ in range(5):
        optimizer.step(game)
    assert len(game.calls) == 5
    assert base.state[game.x]["step"].item() == moves


@pytest.mark.parametrize("memory", ["gradient", "step"])
def test_a_raising_closure_changes_nothing(memory: str) -> None:
    failed, smooth = Game(), Game()
    optimizers = [PastExtragradient(SGD(g.groups(), lr=0.1), memory=memory) for g in (failed, smooth)]

    def failing() -> Any:
        raise FloatingPointError

    for _ in range(4):
        with pytest.raises(FloatingPointError):
            optimizers[0].step(failing)
        optimizers[0].step(failed)
        optimizers[1].step(smooth)
        assert (failed.point() == smooth.point()).all()


def test_memory_is_its_own_copy_of_the_gradient() -> None:
    game, kept = Game(), Game()
    reused, fresh = (PastExtragradient(SGD(g.groups(), lr=0.1, momentum=0.5, nesterov=True)) for g in (game, kept))
    for _ in range(5):
        reused.step(game)
        fresh.step(kept)
        for p in (game.x, game.y):
            assert p.grad is not None
            p.grad.fill_(float("nan"))  # as a closure that reuses its buffers
        assert (game.point() == kept.point()).all()


@pytest.mark.parametrize("memory", ["gradient", "step"])
def test_over_alternating(memory: str) -> None:
    game = Game()
    optimizer = PastExtragradient(Alternating(SGD(game.groups(), lr=0.1)), memory=memory)
    x, y = game.z0[:6], game.z0[6:]
    gx: Any = np.zeros(6)
    gy: Any = np.zeros(4)
    for _ in range(6):
        # both lead; then x moves with its gradient at the leading point, and y meets x's move
        ly = y - 0.1 * gy
        gx = game.F(np.r_[x - 0.1 * gx, ly])[:6]
        x = x - 0.1 * gx
        gy = game.F(np.r_[x, ly])[6:]
        y = y - 0.1 * gy
        optimizer.step(game)
        np.testing.assert_allclose(game.point(), np.r_[x, y], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("memory", ["gradient", "step"])
def test_a_parameter_without_gradient_stays(memory: str) -> None:
    game = Game()
    optimizer = PastExtragradient(Adam(game.groups()), memory=memory)
    before = game.y.detach().clone()
    for _ in range(3):
        optimizer.step(lambda: game(["x"]))
    assert (game.y == before).all()
    assert game.y not in optimizer.state


def test_refused() -> None:
    with pytest.raises(ValueError, match="memory must be one of gradient, step, got 'both'"):
        PastExtragradient(SGD(Game().groups(), lr=0.1), memory="both")

"""Averaged: by hand, and that it leaves the training alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim_problems import Net, same
from torch import nn
from torch.optim import SGD

from lookahead_bench.optim import Averaged, evaluation_weights


@pytest.mark.parametrize(
    ("decay", "start", "averages"),
    [  # iterates -1, -2, -3, -4 from 0
        (None, 0, [-1.0, -1.5, -2.0, -2.5]),
        (0.5, 0, [-0.5, -1.25, -2.125, -3.0625]),
        (0.0, 0, [-1.0, -2.0, -3.0, -4.0]),
        (None, 1, [-1.0, -2.0, -2.5, -3.0]),
        (None, 3, [-1.0, -2.0, -3.0, -4.0]),
        (0.5, 2, [-1.0, -2.0, -2.5, -3.25]),
        (None, 9, [-1.0, -2.0, -3.0, -4.0]),  # it never begins
    ],
)
def test_by_hand(decay: float | None, start: int, averages: list[float]) -> None:
    p = nn.Parameter(torch.zeros(1))
    optimizer = Averaged(SGD([p], lr=1.0), decay, start)
    seen = []
    with evaluation_weights(optimizer):
        assert p.item() == 0  # before the first step the parameters themselves
    for _ in range(4):
        p.grad = torch.ones(1)
        optimizer.step()
        with evaluation_weights(optimizer):
            seen.append(p.item())
    assert seen == averages


@pytest.mark.parametrize("decay", [None, 0.9])
def test_training_does_not_change(decay: float | None) -> None:
    averaged, plain = Net(), Net()
    optimizer = Averaged(SGD(averaged.model.parameters(), lr=0.1, momentum=0.9), decay)
    base = SGD(plain.model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(8):
        optimizer.step(averaged)
        base.step(plain)
        with evaluation_weights(optimizer):
            averaged.weights()
        assert same(averaged.weights(), plain.weights())


def test_starts_from_the_weights_before_the_first_step() -> None:
    p = nn.Parameter(torch.zeros(1))
    optimizer = Averaged(SGD([p], lr=1.0), decay=0.5)
    with torch.no_grad():
        p.fill_(8.0)
    p.grad = torch.ones(1)
    optimizer.step()
    with evaluation_weights(optimizer):
        assert p.item() == 7.5


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan"), "0.9", True])
def test_refused(decay: Any) -> None:
    with pytest.raises(ValueError, match="decay must be null or a finite number"):
        Averaged(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), decay)


@pytest.mark.parametrize("start", [-1, 1.5, True, None])
def test_start_refused(start: Any) -> None:
    with pytest.raises(ValueError, match="start must be an integer >= 0"):
        Averaged(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), start=start)


@pytest.mark.parametrize("saved", range(6))
def test_a_late_start_resumes_exactly(saved: int) -> None:
    """Saved before, at and after the start: the rest is the same bit for bit."""

    def go(optimizer: Averaged, net: Net, steps: int) -> list[torch.Tensor]:
        for _ in range(steps):
            optimizer.step(net)
        with evaluation_weights(optimizer):
            return [p.clone() for p in net.weights()]

    whole, first, rest = Net(), Net(), Net()
    optimizers = [Averaged(SGD(n.model.parameters(), lr=0.1, momentum=0.9), start=3) for n in (whole, first, rest)]
    go(optimizers[1], first, saved)
    rest.model.load_state_dict(first.model.state_dict())
    rest.evaluations = saved
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    assert same(go(optimizers[2], rest, 6 - saved), go(optimizers[0], whole, 6))

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
    ("decay", "averages"),
    [  # iterates -1, -2, -3 from 0
        (None, [-1.0, -1.5, -2.0]),
        (0.5, [-0.5, -1.25, -2.125]),
        (0.0, [-1.0, -2.0, -3.0]),
    ],
)
def test_by_hand(decay: float | None, averages: list[float]) -> None:
    p = nn.Parameter(torch.zeros(1))
    optimizer = Averaged(SGD([p], lr=1.0), decay)
    seen = []
    with evaluation_weights(optimizer):
        assert p.item() == 0  # before the first step the parameters themselves
    for _ in range(3):
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

"""evaluation_weights: exact restore whatever happens inside."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from optim_problems import Net, same
from torch.optim import SGD, Optimizer

from lookahead_bench.optim import (
    Averaged,
    Lookahead,
    ProximalPoint,
    evaluation_kind,
    evaluation_weights,
    evaluation_weights_differ,
)


def trained(net: Net, steps: int = 7) -> Lookahead:
    optimizer = Lookahead(Lookahead(SGD(net.model.parameters(), lr=0.1, momentum=0.9), k=2), k=2)
    for _ in range(steps):
        optimizer.step(net)
    return optimizer


def test_shows_the_outermost_layer_and_restores_exactly() -> None:
    net = Net()
    optimizer = trained(net)
    fast = net.weights()
    addresses = [p.data_ptr() for p in net.model.parameters()]
    with evaluation_weights(optimizer):
        assert optimizer.slow is not None
        assert same(net.weights(), optimizer.slow)
        assert not same(net.weights(), fast)
        assert addresses == [p.data_ptr() for p in net.model.parameters()]
    assert same(net.weights(), fast)


def test_training_afterwards_is_as_if_it_never_was() -> None:
    visited, plain = Net(), Net()
    one, other = trained(visited, 0), trained(plain, 0)
    for _ in range(9):
        one.step(visited)
        other.step(plain)
        with evaluation_weights(one), torch.no_grad():
            visited.model(torch.ones(2, 3))
    assert same(visited.weights(), plain.weights())


def test_nests_and_survives_exceptions() -> None:
    net = Net()
    optimizer = trained(net)
    fast = net.weights()
    with evaluation_weights(optimizer):
        slow = net.weights()
        with contextlib.suppress(ZeroDivisionError), evaluation_weights(optimizer):
            assert same(net.weights(), slow)
            raise ZeroDivisionError
        assert same(net.weights(), slow)
    assert same(net.weights(), fast)
    optimizer.step(net)


@pytest.mark.parametrize("wrap", [lambda b: b, ProximalPoint, Lookahead, Averaged, lambda b: Averaged(Lookahead(b))])
def test_step_inside_raises(wrap: type[Optimizer]) -> None:
    net = Net()
    base = SGD(net.model.parameters(), lr=0.1)
    optimizer = wrap(base)
    optimizer.step(net)
    before = net.weights()
    with evaluation_weights(optimizer):
        for each in (optimizer, base):
            with pytest.raises(RuntimeError, match="step inside evaluation_weights"):
                each.step(net)
    assert same(net.weights(), before)
    optimizer.step(net)
    assert not same(net.weights(), before)


def test_copies_made_inside_may_step() -> None:
    net = Net()
    optimizer = trained(net)
    with evaluation_weights(optimizer):
        twin, _ = copy.deepcopy((optimizer, net))
    twin.step(lambda: torch.zeros(()))


def test_kinds() -> None:
    parameters = list(Net().model.parameters())

    def sgd() -> Optimizer:
        return SGD(parameters, lr=0.1)

    assert evaluation_kind(sgd()) == "fast"
    assert evaluation_kind(ProximalPoint(sgd())) == "fast"
    assert evaluation_kind(Lookahead(sgd())) == "slow"
    assert evaluation_kind(Lookahead(Averaged(sgd()))) == "slow"
    assert evaluation_kind(Averaged(Lookahead(sgd()))) == "average"
    assert not evaluation_weights_differ(sgd())
    assert not evaluation_weights_differ(Lookahead(sgd()))


def test_gradients_stay() -> None:
    net = Net()
    optimizer = trained(net)
    before = [p.grad for p in net.model.parameters()]
    with evaluation_weights(optimizer):
        assert all(p.grad is g for p, g in zip(net.model.parameters(), before, strict=True))

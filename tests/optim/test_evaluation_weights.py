"""evaluation_weights: exact restore whatever happens inside."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable

import pytest
import torch
from optim_problems import Net, same
from pytorch_optimizer import ScheduleFreeAdamW, ScheduleFreeSGD
from torch import Tensor
from torch.optim import SGD, Optimizer

from lookahead_bench.optim import (
    Averaged,
    Lookahead,
    ProximalPoint,
    evaluation_kinds,
    evaluation_weights,
    evaluation_weights_differ,
    training_mode,
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

    assert evaluation_kinds(sgd()) == evaluation_kinds(ProximalPoint(sgd())) == ["fast"]
    assert evaluation_kinds(Lookahead(sgd())) == evaluation_kinds(Lookahead(Lookahead(sgd()))) == ["fast", "slow"]
    assert evaluation_kinds(Lookahead(Averaged(sgd()))) == ["fast", "average", "slow"]
    assert evaluation_kinds(Averaged(Lookahead(sgd()))) == ["fast", "slow", "average"]
    assert evaluation_kinds(Averaged(Lookahead(Averaged(sgd())), decay=0.9)) == ["fast", "average", "slow", "ema"]
    assert evaluation_kinds(Lookahead(Averaged(Lookahead(sgd())))) == ["fast", "average", "slow"]
    assert not evaluation_weights_differ(sgd())
    assert not evaluation_weights_differ(Lookahead(sgd()))
    with pytest.raises(ValueError, match="kind must be one of fast, slow, got 'average'"):
        evaluation_weights_differ(Lookahead(sgd()), "average")
    with pytest.raises(ValueError, match="kind must be one of fast, got 'slow'"), evaluation_weights(sgd(), "slow"):
        pass


def test_gradients_stay() -> None:
    net = Net()
    optimizer = trained(net)
    before = [p.grad for p in net.model.parameters()]
    with evaluation_weights(optimizer):
        assert all(p.grad is g for p, g in zip(net.model.parameters(), before, strict=True))


def test_every_kind_that_the_chain_has() -> None:
    net = Net()
    inner = Lookahead(SGD(net.model.parameters(), lr=0.1), k=3)
    optimizer = Averaged(Lookahead(Averaged(inner, decay=0.5), k=2), decay=None)
    for _ in range(5):  # the inner layer is in a cycle, the outer one too, and the outer average is of five
        optimizer.step(net)
    fast = net.weights()
    ema, slow = optimizer.base.base, optimizer.base
    expected = {"fast": fast, "ema": ema.average, "slow": slow.slow, "average": optimizer.average}
    assert list(expected) == evaluation_kinds(optimizer)
    for kind, weights in expected.items():
        assert evaluation_weights_differ(optimizer, kind) == (kind != "fast")
        with evaluation_weights(optimizer, kind):
            assert same(net.weights(), weights)
            assert kind == "fast" or not same(net.weights(), fast)
        assert same(net.weights(), fast)
    with evaluation_weights(optimizer):
        assert same(net.weights(), optimizer.average)
    optimizer.step(net)  # the outer layer syncs: only the averages differ now
    differing = [kind for kind in expected if evaluation_weights_differ(optimizer, kind)]
    assert differing == ["ema", "average"]


def test_two_kinds_at_once_are_refused() -> None:
    net = Net()
    optimizer = Averaged(trained(net))
    optimizer.step(net)
    with evaluation_weights(optimizer, "slow"):
        slow = net.weights()
        with pytest.raises(RuntimeError, match="the slow weights are in place: leave"), evaluation_weights(optimizer):
            pass
        with evaluation_weights(optimizer, "slow"):
            assert same(net.weights(), slow)


SCHEDULE_FREE: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "sgd": lambda ps: ScheduleFreeSGD(ps, lr=0.3, warmup_steps=4),
    "adamw": lambda ps: ScheduleFreeAdamW(ps, lr=0.05, weight_decay=0.01),
}
AROUND: dict[str, Callable[[Optimizer], Optimizer]] = {
    "plain": lambda b: b,
    "lookahead": lambda b: Lookahead(b, k=3),
    "average": lambda b: Averaged(b, decay=0.8),
    "extragradient": ProximalPoint,
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("base", SCHEDULE_FREE)
class TestScheduleFree:
    def test_evaluations_in_between_change_nothing(self, base: str, around: str) -> None:
        visited, plain = Net(), Net()
        one, other = (AROUND[around](SCHEDULE_FREE[base](n.model.parameters())) for n in (visited, plain))
        training_mode(one)
        for _ in range(11):  # before the first step too, and in the middle of a cycle
            for kind in [*evaluation_kinds(one), None]:
                with evaluation_weights(one, kind), evaluation_weights(one, kind):
                    visited.model(torch.ones(2, 3))
            assert repr(one.state_dict()) == repr(other.state_dict())
            assert one.step(visited) == other.step(plain)
            assert same(visited.weights(), plain.weights())

    def test_the_average_is_the_optimizers_own(self, base: str, around: str) -> None:
        net = Net()
        innermost = SCHEDULE_FREE[base](net.model.parameters())
        optimizer = AROUND[around](innermost)
        assert evaluation_kinds(optimizer)[:2] == ["fast", "average"]
        assert not evaluation_weights_differ(optimizer, "average")
        for _ in range(5):
            optimizer.step(net)
        assert evaluation_weights_differ(optimizer, "average")
        beta = innermost.param_groups[0].get("momentum") or innermost.param_groups[0]["betas"][0]
        pairs = [(p.detach(), innermost.state[p]["z"]) for p in net.model.parameters()]
        averages = [(y - (1 - beta) * z) / beta for y, z in pairs]  # y = beta x + (1 - beta) z
        with evaluation_weights(optimizer, "average"):
            assert not any(group["train_mode"] for group in optimizer.param_groups)
            for p, x in zip(net.model.parameters(), averages, strict=True):
                torch.testing.assert_close(p.detach(), x)
            with pytest.raises(RuntimeError, match="step inside evaluation_weights"):
                optimizer.step(net)
        assert all(group["train_mode"] for group in optimizer.param_groups)

    def test_resumes_bit_for_bit(self, base: str, around: str) -> None:
        net, fresh = Net(), Net(seed=3)
        optimizer, resumed = (AROUND[around](SCHEDULE_FREE[base](n.model.parameters())) for n in (net, fresh))
        for _ in range(4):
            optimizer.step(net)
        fresh.model.load_state_dict(net.model.state_dict())
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch aliases
        fresh.evaluations = net.evaluations
        for _ in range(4):
            optimizer.step(net), resumed.step(fresh)
            with evaluation_weights(optimizer, "average"), evaluation_weights(resumed, "average"):
                assert same(net.weights(), fresh.weights())


class BeginsInEvaluationMode(ScheduleFreeSGD):  # type: ignore[misc]
    """As the schedulefree package does."""

    def __init__(self, params: Iterable[Tensor]) -> None:
        super().__init__(params, lr=0.3)
        for group in self.param_groups:
            group["train_mode"] = False


def test_training_mode() -> None:
    optimizer = Lookahead(BeginsInEvaluationMode(Net().model.parameters()))
    with evaluation_weights(optimizer, "average"):
        pass
    assert not optimizer.param_groups[0]["train_mode"]  # as it was
    training_mode(optimizer)
    assert optimizer.param_groups[0]["train_mode"]
    training_mode(SGD(Net().model.parameters(), lr=0.1))  # nothing to do

"""Lookahead: a trajectory to check by hand, and the rules learnt from what published implementations get wrong."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from optim_problems import Game, Net, same
from torch import nn
from torch.optim import SGD, Adam, Optimizer, RAdam

from lookahead_bench.optim import Lookahead, evaluation_weights, evaluation_weights_differ


def descend(optimizer: Optimizer, p: nn.Parameter, steps: int, slope: float = 1.0) -> list[float]:
    """The trajectory under a constant gradient."""
    seen = []
    for _ in range(steps):
        p.grad = torch.full_like(p, slope)
        optimizer.step()
        seen.append(round(p.item(), 6))
    return seen


def scalar(value: float = 0.0) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


def test_by_hand() -> None:
    # lr 0.1, k 3, alpha 1/2:     -> -> sync: half of -.3     -> ->  sync: half way from -.15 to -.45
    p = scalar()
    assert descend(Lookahead(SGD([p], lr=0.1), k=3), p, 6) == [-0.1, -0.2, -0.15, -0.25, -0.35, -0.3]


def test_two_layers_by_hand() -> None:
    # inner: half of what two steps of -.1 made; outer: half of what two inner cycles made
    p = scalar()
    optimizer = Lookahead(Lookahead(SGD([p], lr=0.1), k=2), k=2)
    # -.1, -.2 -> -.1, -.2, -.3 -> -.2 -> -.1, where the inner layer restarts
    assert descend(optimizer, p, 8) == [-0.1, -0.1, -0.2, -0.1, -0.2, -0.2, -0.3, -0.2]


def test_outer_momentum_is_torchs_nesterov() -> None:
    fast, slow = scalar(1.0), scalar(1.0)
    lookahead = Lookahead(SGD([fast], lr=0.1), k=2, alpha=0.7, outer_momentum=0.6)
    outer = SGD([slow], lr=0.7, momentum=0.6, nesterov=True)
    for _ in range(10):
        inner = slow.item()
        for _ in range(2):
            fast.grad = 3 * fast.detach()
            lookahead.step()
            inner -= 0.1 * 3 * inner
        slow.grad = slow.detach() - inner
        outer.step()
        assert fast.item() == pytest.approx(slow.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("pullback", "momenta"),
    [
        # gradient 1, momentum 1/2, k 2, alpha 1/2: m = 1, 1.5 before the first sync
        ("none", [1.5, 1.875]),
        ("reset", [0.0, 0.0]),
        # (1.5 + 0) / 2 = .75, then .75 -> 1.375 -> 1.6875, (1.6875 + .75) / 2
        ("pullback", [0.75, 1.21875]),
    ],
)
def test_pullback_by_hand(pullback: str, momenta: list[float]) -> None:
    p = scalar()
    optimizer = Lookahead(SGD([p], lr=0.1, momentum=0.5), k=2, pullback=pullback)
    seen = []
    for _ in range(2):
        descend(optimizer, p, 2)
        seen.append(optimizer.state[p]["momentum_buffer"].item())
    assert seen == momenta


@pytest.mark.parametrize("pullback", ["pullback", "reset"])
def test_pullback_of_adam_and_of_no_momentum(pullback: str) -> None:
    p = scalar()
    optimizer = Lookahead(Adam([p], lr=0.1), k=1, pullback=pullback)
    descend(optimizer, p, 1)
    assert optimizer.state[p]["exp_avg"].item() == pytest.approx(0.05 if pullback == "pullback" else 0)
    plain = Lookahead(SGD([p], lr=0.1), k=1, pullback=pullback)
    descend(plain, p, 2)
    assert not plain.state.get(p)


@pytest.mark.parametrize("pullback", ["none", "pullback", "reset"])
def test_agrees_with_pytorch_optimizer(pullback: str) -> None:
    theirs = pytest.importorskip("pytorch_optimizer", exc_type=ImportError)
    ours_net, their_net = Net(), Net()
    ours = Lookahead(SGD(ours_net.model.parameters(), lr=0.1, momentum=0.9), k=3, alpha=0.8, pullback=pullback)
    base = SGD(their_net.model.parameters(), lr=0.1, momentum=0.9)
    other = theirs.Lookahead(base, k=3, alpha=0.8, pullback_momentum=pullback)
    for _ in range(10):
        ours.step(ours_net)
        other.step(their_net)
        assert same(ours_net.weights(), their_net.weights())


def bases(net: Net) -> dict[str, Optimizer]:
    return {
        "sgd": SGD(net.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3),
        "adam": Adam(net.model.parameters(), lr=0.01),
        "radam": RAdam(net.model.parameters(), lr=0.01),
    }


@pytest.mark.parametrize("base", ["sgd", "adam", "radam"])
def test_alpha_1_is_the_base(base: str) -> None:
    reference, plain, pulled, outer, single = (Net() for _ in range(5))
    optimizers = [
        (reference, bases(reference)[base]),
        (plain, Lookahead(bases(plain)[base], k=3, alpha=1.0)),
        (pulled, Lookahead(bases(pulled)[base], k=2, alpha=1, pullback="pullback")),
    ]
    layers = [
        (single, Lookahead(bases(single)[base], k=3, alpha=0.4)),
        (outer, Lookahead(Lookahead(bases(outer)[base], k=3, alpha=0.4), k=2, alpha=1.0)),
    ]
    for group in (optimizers, layers):
        for _ in range(14):
            for net, optimizer in group:
                optimizer.step(net)
            assert all(same(net.weights(), group[0][0].weights()) for net, _ in group)


def test_slow_weights_are_those_before_the_first_step_of_a_cycle() -> None:
    p = scalar()
    optimizer = Lookahead(SGD([p], lr=0.1), k=3)
    with torch.no_grad():
        p.fill_(10.0)  # pretrained weights, loaded after the optimizer was built
    assert descend(optimizer, p, 3) == [9.9, 9.8, 9.85]
    with torch.no_grad():
        p.fill_(0.0)  # and again between two cycles
    assert descend(optimizer, p, 3) == [-0.1, -0.2, -0.15]


def test_inner_layer_restarts_from_the_outers_slow_weights() -> None:
    p = scalar()
    optimizer = Lookahead(Lookahead(SGD([p], lr=0.1), k=1, alpha=0.5), k=2, alpha=0.0)
    descend(optimizer, p, 2)
    assert p.item() == 0
    descend(optimizer, p, 1)
    inner = optimizer.base
    assert isinstance(inner, Lookahead)
    assert inner.slow is not None
    assert inner.slow[0].item() == 0
    assert p.item() == -0.05


def test_costs_one_copy_of_the_parameters_per_layer() -> None:
    net = Net()
    inner = Lookahead(SGD(net.model.parameters(), lr=0.1, momentum=0.9), k=2)
    outer = Lookahead(inner, k=2)
    for _ in range(5):
        outer.step(net)
    for layer in (inner, outer):
        kept = [t for name in layer.tensors for t in getattr(layer, name) or []]
        assert [t.shape for t in kept] == [p.shape for p in net.model.parameters()]
        assert sum(t.untyped_storage().nbytes() for t in kept) == 4 * sum(p.numel() for p in net.model.parameters())
    assert all(set(state) == {"momentum_buffer"} for state in outer.state.values())


def test_keeps_strides() -> None:
    p = nn.Parameter(torch.randn(3, 4).t())
    optimizer = Lookahead(SGD([p], lr=0.1), k=2)
    for _ in range(3):
        p.grad = torch.ones_like(p)
        optimizer.step()
    assert optimizer.slow is not None
    assert optimizer.slow[0].stride() == p.stride() == (1, 4)
    loaded = Lookahead(SGD([p], lr=0.1), k=2)
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert loaded.slow is not None
    assert loaded.slow[0].stride() == p.stride()


def test_parameters_added_in_the_middle_of_a_cycle() -> None:
    p, q = scalar(), scalar(5.0)
    optimizer = Lookahead(SGD([p], lr=0.1, momentum=0.5), k=3, pullback="pullback", outer_momentum=0.5)
    descend(optimizer, p, 4)
    optimizer.add_param_group({"params": [q], "lr": 1.0})
    q.grad = torch.ones_like(q)
    descend(optimizer, p, 2)
    assert q.item() < 5.0
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    optimizer.load_state_dict(torch.load(buffer, weights_only=True))
    descend(optimizer, p, 3)


def test_slow_weights_survive_a_parameter_without_gradient() -> None:
    game = Game()
    optimizer = Lookahead(SGD(game.groups(), lr=0.1), k=2)
    before = game.y.detach().clone()
    for _ in range(4):
        game(["x"])
        game.y.grad = None
        optimizer.step()
    assert torch.equal(game.y, before)


def test_evaluates_the_slow_weights() -> None:
    p = scalar()
    optimizer = Lookahead(SGD([p], lr=0.1), k=3)
    shown = []
    for _ in range(6):
        descend(optimizer, p, 1)
        with evaluation_weights(optimizer):
            shown.append((round(p.item(), 6), evaluation_weights_differ(optimizer)))
    assert shown == [(0, True), (0, True), (-0.15, False), (-0.15, True), (-0.15, True), (-0.3, False)]


def test_step_raising_leaves_the_cycle_as_it_was() -> None:
    game = Game()
    optimizer = Lookahead(SGD(game.groups(), lr=0.1), k=3)
    for _ in range(4):
        optimizer.step(game)
    before = game.point()

    def failing() -> float:
        raise FloatingPointError

    with pytest.raises(FloatingPointError):
        optimizer.step(failing)
    assert (game.point() == before).all()
    assert optimizer.count == 1


def test_numpys_numbers_are_numbers() -> None:
    ours, numpys = Game(), Game()
    one = Lookahead(SGD(ours.groups(), lr=0.1), k=2, alpha=0.25)
    other = Lookahead(SGD(numpys.groups(), lr=0.1), k=np.int64(2), alpha=np.float32(0.25))  # type: ignore[arg-type]
    for _ in range(5):
        one.step(ours), other.step(numpys)
    assert (ours.point() == numpys.point()).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"k": -3}, "k must be an integer >= 1"),
        ({"k": 2.5}, "k must be an integer >= 1"),
        ({"k": True}, "k must be an integer >= 1"),
        ({"alpha": -0.1}, "alpha must be a finite number >= 0 and <= 1, got -0.1"),
        ({"alpha": 1.1}, "alpha must be"),
        ({"alpha": float("nan")}, "alpha must be"),
        ({"alpha": "0.5"}, "alpha must be"),
        ({"pullback": "half"}, "pullback must be one of none, pullback, reset, got 'half'"),
        ({"outer_momentum": 1.0}, "outer_momentum must be"),
        ({"outer_momentum": -0.1}, "outer_momentum must be"),
    ],
)
def test_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lookahead(SGD([scalar()], lr=0.1), **values)  # type: ignore[arg-type]


def test_needs_an_optimizer() -> None:
    with pytest.raises(TypeError, match=r"Lookahead wraps a torch\.optim\.Optimizer"):
        Lookahead([scalar()])  # type: ignore[arg-type]

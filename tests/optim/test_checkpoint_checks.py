"""A load checks types and lengths before it changes anything."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from optim_problems import Net, same
from torch.optim import SGD, Adam, Optimizer

from lookahead_bench.optim import Averaged, Lookahead, PastExtragradient, ProximalPoint

State = dict[str, Any]


def made(net: Net) -> Lookahead:
    return Lookahead(Lookahead(PastExtragradient(Adam(net.model.parameters())), k=2, pullback="pullback"), k=2)


def drop(state: State, key: str) -> None:
    del state[key]


DAMAGE: dict[str, tuple[Callable[[State], Any], str]] = {
    "no wrappers": (lambda s: drop(s, "wrappers"), r"the saved wrappers, innermost first, are None, these are \['Past"),
    "one layer less": (lambda s: s["wrappers"].pop(), "build the optimizer that the state was saved from"),
    "another kind": (lambda s: s["wrappers"][0].update(kind="Averaged"), r"\['Averaged', 'Lookahead', 'Lookahead'\]"),
    "missing key": (lambda s: drop(s["wrappers"][1], "slow"), r"saved state of Lookahead: it has .* expected"),
    "negative count": (lambda s: s["wrappers"][2].update(count=-1), "count must be an integer >= 0"),
    "a tensor for a count": (lambda s: s["wrappers"][2].update(count=torch.ones(1)), "count must be an integer"),
    "too few tensors": (lambda s: s["wrappers"][2]["slow"].pop(), r"slow must be None or one tensor per param"),
    "another shape": (
        lambda s: s["wrappers"][2]["slow"].__setitem__(0, torch.ones(2, 2)),
        r"slow\[0\] must have shape \(4, 3\), got \(2, 2\)",
    ),
    "a hole": (lambda s: s["wrappers"][1]["slow"].__setitem__(3, None), r"slow\[3\] must have shape"),
    "no slow weights in a cycle": (lambda s: s["wrappers"][1].update(count=1, slow=None), "there are no slow weights"),
    "an entry that is none": (lambda s: s["wrappers"].__setitem__(0, None), "the saved wrappers"),
    "no state": (lambda s: drop(s, "state"), "it is no state_dict"),
    "no group": (lambda s: s["param_groups"].pop(), "parameter group"),
    "a parameter less": (lambda s: s["param_groups"][0]["params"].pop(), r"\[\(4, 3\)\] parameters"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_refuses_and_changes_nothing(damage: str) -> None:
    net = Net()
    optimizer = made(net)
    for _ in range(3):
        optimizer.step(net)
    state = copy.deepcopy(optimizer.state_dict())
    change, message = DAMAGE[damage]
    change(state)
    before = repr(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == before


def test_a_plain_optimizers_state_is_refused() -> None:
    net = Net()
    with pytest.raises(ValueError, match="the saved wrappers, innermost first, are None"):
        Lookahead(SGD(net.model.parameters(), lr=0.1)).load_state_dict(SGD(net.model.parameters(), lr=0.1).state_dict())


def test_loads_into_another_precision() -> None:
    net, wide = Net(), Net(dtype=torch.float64)
    optimizer, other = made(net), made(wide)
    for _ in range(5):
        optimizer.step(net)
    other.load_state_dict(optimizer.state_dict())
    assert other.slow is not None
    assert {t.dtype for t in other.slow} == {torch.float64}
    other.step(wide)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda b: Lookahead(b, k=3, pullback="pullback", outer_momentum=0.4),
        lambda b: Lookahead(Lookahead(b, k=2, pullback="reset"), k=2, outer_momentum=0.4),
        lambda b: Averaged(Lookahead(ProximalPoint(b, inner=3, relaxation=0.7), k=3)),
        lambda b: Averaged(Lookahead(PastExtragradient(b, memory="step"), k=3), decay=0.8),
    ],
)
def test_settings_without_a_yaml_resume_too(wrap: Callable[[Optimizer], Optimizer], tmp_path: Any) -> None:
    for cut in range(8):
        net, fresh = Net(), Net(seed=5)
        optimizer, resumed = (wrap(SGD(n.model.parameters(), lr=0.1, momentum=0.9)) for n in (net, fresh))
        for step in range(10):
            if step == cut:
                torch.save({"net": net.model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state")
                state = torch.load(tmp_path / "state", weights_only=True)
                fresh.model.load_state_dict(state["net"])
                resumed.load_state_dict(state["optimizer"])
                fresh.evaluations = net.evaluations
            optimizer.step(net)
            if step >= cut:
                resumed.step(fresh)
        assert same(fresh.weights(), net.weights())
        assert repr(optimizer.state_dict()) == repr(resumed.state_dict())

"""What torch asks of its own optimizers, asked of every conf/optimizer/*.yaml; a new YAML is tested by being there."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from optim_problems import NAMES, Net, build, node, same
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR

from lookahead_bench.optim import Wrapper, evaluation_weights
from lookahead_bench.optim.wrapper import chain, closure_calls

pytestmark = pytest.mark.parametrize("name", NAMES)


def saved(optimizer: Optimizer) -> dict[str, Any]:
    """The state as a checkpoint gives it back."""
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert isinstance(state, dict)
    return state


def cycle(optimizer: Optimizer) -> int:
    return optimizer.period if isinstance(optimizer, Wrapper) else 1


def run(net: Net, optimizer: Optimizer, steps: int) -> Iterator[None]:
    for _ in range(steps):
        optimizer.step(net)
        yield


def train(net: Net, optimizer: Optimizer, steps: int) -> None:
    for _ in run(net, optimizer, steps):
        pass


def everything(net: Net, optimizer: Optimizer) -> list[torch.Tensor]:
    """The weights and the evaluation weights."""
    with evaluation_weights(optimizer):
        return [*net.weights(), *_after(net, optimizer)]


def _after(net: Net, optimizer: Optimizer) -> list[torch.Tensor]:
    point = optimizer.evaluation_point() if isinstance(optimizer, Wrapper) else None
    return [] if point is None else [p.clone() for p in point]


def test_yaml(name: str) -> None:
    plain = node(name)
    assert plain["name"] == name
    assert list(plain)[:2] == ["name", "about"]
    assert list(plain)[-2:] == ["base", "wrappers"]
    assert list(plain["about"]) == ["description", "equation", "source", "search"]
    for other in map(node, NAMES):  # one order of keys everywhere
        assert [key for key in plain if key in other] == [key for key in other if key in plain]
    assert "\n" not in plain["about"]["description"]
    assert plain["about"]["equation"].strip()
    assert plain["about"]["source"].strip()


def test_reduces_the_loss(name: str) -> None:
    net = Net()
    optimizer = build(name, net, lr=0.02)
    first = net().item()
    train(net, optimizer, 60)
    net.evaluations = 0  # the batch that `first` was of
    with evaluation_weights(optimizer):
        assert net().item() < first


def test_closure_is_called_with_gradients_enabled(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    with torch.no_grad():
        loss = optimizer.step(net)
    assert all(net.grad_enabled)
    assert loss.shape == ()
    train(net, optimizer, 3)


def test_missing_closure(name: str) -> None:
    """A step without closure is the step with it; a method that needs more than the gradients at hand says so."""
    net, twin = Net(), Net()
    optimizer, given = build(name, net), build(name, twin)
    for _ in range(3):
        net()
        given.step(twin)
        before = net.weights()
        try:
            assert optimizer.step() is None
        except RuntimeError as error:
            said = str(error)
        else:
            assert same(net.weights(), twin.weights())
            continue
        assert "call step(closure)" in said
        assert same(net.weights(), before)
        return
    assert closure_calls(optimizer) == 1


def test_without_gradients_nothing_moves(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    before, state = net.weights(), [repr(s) for s in optimizer.state.values() if s]  # Adagrad has some from the start
    for _ in range(cycle(optimizer) + 2):
        optimizer.step(lambda players=None: torch.zeros(()))
    assert same(net.weights(), before)
    assert [repr(s) for s in optimizer.state.values() if s] == state


def test_zero_gradients_are_finite(name: str) -> None:
    net = Net()
    optimizer = build(name, net, weight_decay=0)
    before = net.weights()

    def zeros(players: Any = ("x", "y")) -> torch.Tensor:
        for player in players:
            for p in net.players[player]:
                p.grad = torch.zeros_like(p)
        return torch.zeros(())

    for _ in range(cycle(optimizer) + 2):
        optimizer.step(zeros)
    assert same(net.weights(), before)


def test_deepcopy_and_pickle_go_on_bit_for_bit(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    LambdaLR(optimizer, lambda _: 1.0)  # a scheduler puts a bound `step` into the optimizer's __dict__
    train(net, optimizer, 7)
    copies = [copy.deepcopy((net, optimizer)), pickle.loads(pickle.dumps((net, optimizer)))]
    train(net, optimizer, 7)
    for copied_net, copied in copies:
        assert type(copied) is type(optimizer)
        train(copied_net, copied, 7)
        assert same(everything(copied_net, copied), everything(net, optimizer))


def test_repr_and_zero_grad(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    for each in chain(optimizer):
        assert type(each).__name__ in repr(optimizer)
    net()
    optimizer.zero_grad()
    assert all(p.grad is None for p in net.model.parameters())
    net()
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.any() for p in net.model.parameters())


def test_hooks_fire_once(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    fired: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: fired.append("pre"))
    optimizer.register_step_post_hook(lambda *_: fired.append("post"))
    optimizer.register_state_dict_pre_hook(lambda *_: fired.append("saving"))
    optimizer.register_state_dict_post_hook(lambda _, state: {**state, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda _, state: {k: v for k, v in state.items() if k != "note"})
    optimizer.register_load_state_dict_post_hook(lambda *_: fired.append("loaded"))
    train(net, optimizer, 2)
    state = optimizer.state_dict()
    assert state["note"] == 1
    optimizer.load_state_dict(state)
    assert fired == ["pre", "post", "pre", "post", "saving", "loaded"]


def test_one_list_of_groups(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    base = list(chain(optimizer))[-1]
    train(net, optimizer, 2)
    for _ in range(2):
        assert optimizer.param_groups is base.param_groups
        assert optimizer.state is base.state
        assert optimizer.defaults is base.defaults
        optimizer.load_state_dict(saved(optimizer))
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "player": "x"})


def test_groups_have_their_own_settings(name: str) -> None:
    net = Net()
    optimizer = build(name, net, lr={"x": 0.01, "y": 1e-30})
    assert [(g["player"], g["lr"]) for g in optimizer.param_groups] == [("x", 0.01), ("y", 1e-30)]
    before = net.weights()
    train(net, optimizer, 3)
    moved = [not torch.allclose(a, b, atol=1e-12) for a, b in zip(net.weights(), before, strict=True)]
    assert moved == [True, True, False, False]


def test_add_param_group_in_the_middle(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    late = nn.Parameter(torch.ones(2))

    def closure(players: Any = ("x", "y")) -> torch.Tensor:
        loss = net(players)
        late.grad = torch.ones(2) if "x" in players else None
        return loss

    train(net, optimizer, 3)
    optimizer.add_param_group({"params": [late], "player": "x", "lr": 0.5})
    for _ in range(cycle(optimizer) + 2):
        optimizer.step(closure)
    assert (late < 1).all()
    assert optimizer.param_groups[-1]["lr"] == 0.5
    with evaluation_weights(optimizer):
        pass
    other = build(name, net)
    other.add_param_group({"params": [nn.Parameter(late.detach().clone())], "player": "x"})
    other.load_state_dict(saved(optimizer))
    assert other.param_groups[-1]["lr"] == 0.5


def test_resumes_bit_for_bit_at_every_step_of_a_cycle(name: str) -> None:
    steps = cycle(build(name, Net())) + 2
    net = Net()
    optimizer = build(name, net)
    cuts = []
    for _ in range(steps):
        cuts.append((net.weights(), net.evaluations, saved(optimizer)))
        optimizer.step(net)
    for weights, evaluations, state in cuts:
        fresh = Net(seed=9)
        resumed = build(name, fresh, lr=0.77)
        with torch.no_grad():
            for p, w in zip(fresh.model.parameters(), weights, strict=True):
                p.copy_(w)
        fresh.evaluations = evaluations
        resumed.load_state_dict(state)
        while fresh.evaluations < net.evaluations:
            resumed.step(fresh)
        assert same(everything(fresh, resumed), everything(net, optimizer))


def test_load_copies_and_leaves_its_argument(name: str) -> None:
    net, other = Net(), Net()
    optimizer, loader = build(name, net), build(name, other)
    train(net, optimizer, 4)
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    loader.load_state_dict(state)
    if isinstance(loader, Wrapper):  # a plain torch optimizer keeps the tensors
        train(other, loader, cycle(loader) + 1)
    assert repr(state) == repr(before)
    with pytest.raises(ValueError, match="parameter group"):
        loader.load_state_dict({**state, "param_groups": state["param_groups"][:1]})


def test_state_is_the_innermost_dict_plus_wrappers(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    train(net, optimizer, 3)
    *wrappers, base = chain(optimizer)
    state = optimizer.state_dict()
    inner = base.state_dict()
    assert list(state) == [*inner, *(["wrappers"] if wrappers else [])]
    assert repr({k: state[k] for k in inner}) == repr(inner)
    assert [e["kind"] for e in state.get("wrappers", [])] == [type(w).__name__ for w in reversed(wrappers)]


def test_schedulers_before_and_after_a_load(name: str) -> None:
    net = Net()
    optimizer = build(name, net, lr=0.1)
    before = StepLR(optimizer, 1, gamma=0.5)
    train(net, optimizer, 1)
    before.step()
    assert [g["lr"] for g in list(chain(optimizer))[-1].param_groups] == [0.05, 0.05]
    optimizer.load_state_dict(saved(optimizer))
    train(net, optimizer, 1)
    before.step()
    assert [g["lr"] for g in list(chain(optimizer))[-1].param_groups] == [0.025, 0.025]
    after = LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    train(net, optimizer, 1)
    after.step()
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_scheduler_on_the_base(name: str) -> None:
    net = Net()
    optimizer = build(name, net, lr=0.1)
    scheduler = StepLR(list(chain(optimizer))[-1], 1, gamma=0.5)
    train(net, optimizer, 1)
    scheduler.step()  # would warn had the base not been seen to step
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_one_cycle(name: str) -> None:
    net = Net()
    optimizer = build(name, net)
    cycles = any(key in optimizer.defaults for key in ("momentum", "betas"))
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=6, cycle_momentum=cycles)
    for _ in range(5):
        optimizer.step(net)
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] < 0.1


def test_evaluation_weights_do_not_disturb_training(name: str) -> None:
    visited, plain = Net(), Net()
    one, other = build(name, visited), build(name, plain)
    for _ in range(cycle(one) + 1):
        one.step(visited)
        other.step(plain)
        with evaluation_weights(one):
            visited.weights()
        assert same(visited.weights(), plain.weights())


def test_frozen_and_unused_parameters_stay_and_the_others_train(name: str) -> None:
    nets = [Net(), Net(seed=3)]
    for net in nets:
        net.model[0].bias.requires_grad_(False)
        net.players["y"].append(nn.Parameter(torch.full((2,), 0.3)))  # the loss does not use it
    net, fresh = nets
    optimizer, resumed = (build(name, n, lr=0.02) for n in nets)
    used, unused = dict(net.model.named_parameters()), net.players["y"][-1]
    before = {key: p.detach().clone() for key, p in used.items()}
    for _ in range(cycle(optimizer) + 2):
        optimizer.step(net)
        with evaluation_weights(optimizer):
            assert torch.equal(used["0.bias"], before["0.bias"])
            assert unused.tolist() == torch.full((2,), 0.3).tolist()
    assert [key for key, p in used.items() if torch.equal(p, before[key])] == ["0.bias"]
    assert unused.tolist() == torch.full((2,), 0.3).tolist()
    assert (used["0.bias"].grad, unused.grad) == (None, None)
    fresh.model.load_state_dict(net.model.state_dict())
    fresh.evaluations = net.evaluations
    resumed.load_state_dict(saved(optimizer))
    train(net, optimizer, cycle(optimizer) + 1)
    train(fresh, resumed, cycle(optimizer) + 1)
    assert same(everything(fresh, resumed), everything(net, optimizer))


def test_bfloat16_and_float64(name: str) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        net = Net(dtype=dtype)
        optimizer = build(name, net)
        train(net, optimizer, cycle(optimizer) + 1)
        assert {p.dtype for p in net.weights()} == {dtype}
        assert all(p.isfinite().all() for p in net.weights())

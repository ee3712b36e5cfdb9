"""A parameter that is frozen, or that the loss does not use, is to every composition as if it were not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from optim_problems import Net, same
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from lookahead_bench.optim import (
    SAM,
    Alternating,
    Averaged,
    Box,
    Lookahead,
    PastExtragradient,
    Projected,
    ProximalPoint,
    evaluation_weights,
)

BOX = Box(-0.4, 0.4)
CHAINS: dict[str, Callable[[Optimizer], Optimizer]] = {
    "pullback": lambda b: Lookahead(Lookahead(b, k=2, pullback="pullback"), k=2, outer_momentum=0.5),
    "reset": lambda b: Lookahead(b, k=3, pullback="reset", outer_momentum=0.5),
    "averages": lambda b: Averaged(Lookahead(Averaged(b, decay=0.9), k=3)),
    "past gradient": PastExtragradient,
    "past step": lambda b: PastExtragradient(b, memory="step"),
    "relaxed": lambda b: ProximalPoint(b, inner=3, relaxation=0.5),
    "sam of blocks": lambda b: SAM(Alternating(b, [["x"], ["y"], ["x"]]), rho=0.3),
    "past of blocks": lambda b: PastExtragradient(Alternating(b)),
    "all": lambda b: Lookahead(Projected(ProximalPoint(Alternating(Projected(b, BOX))), BOX), k=2),
}
BASES: dict[str, Callable[[list[dict[str, object]]], Optimizer]] = {
    "sgd": lambda groups: SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda groups: Adam(groups, lr=0.02),
}


def net(*, handed: bool) -> Net:
    """A frozen parameter in each player, an unused one in y; all handed to the optimizer or none."""
    made = Net()
    made.model[0].bias.requires_grad_(False)
    made.model[2].weight.requires_grad_(False)
    if handed:
        made.players["y"].append(nn.Parameter(torch.full((2,), 0.3)))
    else:
        made.players = {name: [p for p in ps if p.requires_grad] for name, ps in made.players.items()}
    return made


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("chain", CHAINS)
def test_as_if_it_were_not_there(chain: str, base: str) -> None:
    nets = full, bare = net(handed=True), net(handed=False)
    one, other = (CHAINS[chain](BASES[base]([{"params": p, "player": n} for n, p in x.players.items()])) for x in nets)
    before, unused = full.weights(), full.players["y"][-1]
    for _ in range(7):
        assert torch.equal(one.step(full), other.step(bare))
        assert same(full.weights(), bare.weights())
        with evaluation_weights(one), evaluation_weights(other):
            assert same(full.weights(), bare.weights())
            assert torch.equal(unused, torch.full((2,), 0.3))
    moved = [not torch.equal(a, b) for a, b in zip(full.weights(), before, strict=True)]
    assert moved == [True, False, False, True]
    assert torch.equal(unused, torch.full((2,), 0.3))
    assert set(one.state) <= {p for p in full.model.parameters() if p.requires_grad}

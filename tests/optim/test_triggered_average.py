"""TriggeredAverage: when it begins, what it averages, and that it goes on as it would have."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import SGD

from lookahead_bench.optim import Averaged, Lookahead, TriggeredAverage, evaluation_weights
from lookahead_bench.optim.evaluation import evaluation_weights_differ
from lookahead_bench.optim.wrapper import tell


def published(costs: list[float], patience: int) -> int | None:
    """Algorithm 1: the place of the first score that triggers."""
    logs: list[float] = []
    for n, cost in enumerate(costs):
        if len(logs) > patience and cost > min(logs[:-patience]):
            return n
        logs.append(cost)
    return None


@pytest.mark.parametrize(
    ("costs", "place"),
    [
        ([9, 8, 7, 6, 5, 4], None),
        ([9, 5, 6, 6, 6], 4),  # worse than 5, the best of all but the last two
        ([9, 5, 6, 4, 6, 3], 4),
        ([9, 5, 6, 4, 4.5, 3], None),
        ([9, math.nan, 8, 7, 6], None),
    ],
)
def test_the_trigger(costs: list[float], place: int | None) -> None:
    optimizer = TriggeredAverage(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), patience=2)
    seen = []
    for cost in costs:
        optimizer.observe(cost)
        seen.append(bool(optimizer.triggered))
    assert published(costs, 2) == place
    assert seen == [place is not None and n >= place for n in range(len(costs))]


def test_by_hand_and_resumed() -> None:
    p = nn.Parameter(torch.zeros(1))
    optimizer = Lookahead(TriggeredAverage(SGD([p], lr=1.0), patience=1), k=100)
    values = []
    for cost in (3.0, 2.0, 4.0, 5.0, 1.0):  # iterates -1, -2, ...; 4 > 3 triggers after the third
        p.grad = torch.ones(1)
        optimizer.step()
        tell(optimizer, cost)
        with evaluation_weights(optimizer, "average"):
            values.append(p.item())
        state = copy.deepcopy(optimizer.state_dict())
        resumed = Lookahead(TriggeredAverage(SGD([p], lr=1.0), patience=1), k=100)
        resumed.load_state_dict(state)
        optimizer = resumed
    assert values == [-1.0, -2.0, -3.0, -4.0, -4.5]
    assert evaluation_weights_differ(optimizer, "average")


def test_triggered_it_is_the_mean() -> None:
    pairs = []
    for make in (TriggeredAverage, Averaged):
        torch.manual_seed(0)
        p = nn.Parameter(torch.randn(3))
        optimizer = make(SGD([p], lr=0.1, momentum=0.9))
        if isinstance(optimizer, TriggeredAverage):
            optimizer.triggered = 1
        for _ in range(5):
            p.grad = p.detach() + 1
            optimizer.step()
        with evaluation_weights(optimizer):
            pairs.append(p.detach().clone())
    assert torch.equal(*pairs)


def test_refused() -> None:
    with pytest.raises(ValueError, match="patience must be an integer >= 1"):
        TriggeredAverage(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), patience=0)

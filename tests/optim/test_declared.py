"""What a wrapper keeps is declared, or refused: undeclared state would be lost on a resume without a word."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lookahead_bench.build import resolve
from lookahead_bench.configuration import load
from lookahead_bench.errors import ConfigError
from lookahead_bench.optim import Wrapper

SAID = "Hoards keeps 'history', which no checkpoint carries: declare it in `counters`"


class Hoards(Wrapper):
    """Keeps a list from the start."""

    level = 0

    def __init__(self, base: Optimizer) -> None:
        super().__init__(base)
        self.history: list[float] = []

    def _update(self, closure: Any) -> Any:
        return self.base.step(closure)


class Later(Hoards):
    """Keeps one from its first step on."""

    def __init__(self, base: Optimizer) -> None:
        Wrapper.__init__(self, base)

    def _update(self, closure: Any) -> Any:
        self.history = [1.0]
        return self.base.step(closure)


def test_undeclared_state_is_refused_where_it_would_be_lost() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    for use in (lambda o: o.state_dict(), pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=SAID):
            use(Hoards(SGD([parameter], lr=0.1)))
    optimizer = Later(SGD([parameter], lr=0.1))
    optimizer.state_dict()
    optimizer.step()
    with pytest.raises(TypeError, match="Later keeps 'history'"):
        optimizer.state_dict()


def test_it_is_told_before_any_work() -> None:
    config = load(["optimizer.wrappers=[{_target_:test_declared.Hoards}]", "optimizer.base._target_=torch.optim.SGD"])
    with pytest.raises(ConfigError, match="optimizer=lookahead: Hoards keeps 'history'"):
        resolve(config)


def test_replicas_are_refused_unless_the_class_says_that_they_cannot_mix() -> None:
    with pytest.raises(ConfigError, match="replicas=2: Hoards does not act on every number by itself"):
        load(["optimizer.wrappers=[{_target_:test_declared.Hoards}]", "replicas=2"])

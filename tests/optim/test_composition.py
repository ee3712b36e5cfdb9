"""The order of composition: what is allowed, and that everything else is refused."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
from typing import Any, ClassVar

import pytest
from optim_problems import Game
from torch.optim import LBFGS, SGD, Optimizer

from lookahead_bench import optim
from lookahead_bench.composition import place
from lookahead_bench.optim import (
    SAM,
    Alternating,
    Averaged,
    Box,
    Lookahead,
    PastExtragradient,
    Projected,
    ProximalPoint,
    Wrapper,
)
from lookahead_bench.optim.wrapper import closure_calls, level_of
from lookahead_bench.ranges import parse

BOX = Box(-10, 10)
WRAP = {
    "la": Lookahead,
    "avg": Averaged,
    "proj": lambda b: Projected(b, BOX),
    "prox": ProximalPoint,
    "past": PastExtragradient,
    "sam": SAM,
    "alt": Alternating,
}
ALLOWED = ("la", "avg"), ("proj",), ("prox", "past", "sam"), ("alt",), ("proj",)


def allowed(names: tuple[str, ...]) -> bool:
    """Whether `names`, outermost first, follow the order; places are optional, the first may repeat."""
    place = 0
    for name in names:
        while place < len(ALLOWED) and name not in ALLOWED[place]:
            place += 1
        if place == len(ALLOWED):
            return False
        place += place > 0
    return True


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_chain(length: int) -> None:
    for names in itertools.product(WRAP, repeat=length):
        game = Game()

        def chain(names: tuple[str, ...] = names, game: Game = game) -> Optimizer:
            optimizer: Optimizer = SGD(game.groups(), lr=0.1)
            for name in reversed(names):
                optimizer = WRAP[name](optimizer)
            return optimizer

        if allowed(names):
            optimizer = chain()
            for _ in range(3):
                optimizer.step(game)
            continue
        with pytest.raises(ValueError, match=r"cannot stand inside .*: from the outside in: averages and Look"):
            chain()


def test_the_full_chain() -> None:
    game = Game()
    optimizer: Optimizer = SGD(game.groups(), lr=0.1)
    for name in ("proj", "alt", "prox", "proj", "la", "avg", "la"):
        optimizer = WRAP[name](optimizer)
    optimizer.step(game)


def test_lookahead_of_lbfgs() -> None:
    game = Game()
    optimizer = Lookahead(LBFGS([game.x, game.y], lr=0.1, max_iter=3), k=2)
    optimizer.step(game)
    assert len(game.calls) > 1


def sgd() -> Optimizer:
    return SGD(Game().groups(), lr=0.1)


def test_where_it_stands() -> None:
    chain = Averaged(Projected(ProximalPoint(Alternating(Projected(sgd(), BOX))), BOX))
    levels = []
    optimizer: Optimizer = chain
    while isinstance(optimizer, Wrapper):
        levels.append(level_of(optimizer))
        optimizer = optimizer.base
    assert levels == [0, 1, 2, 3, 4]
    assert level_of(optimizer) == math.inf


@pytest.mark.parametrize(
    ("level", "inner", "held"),
    [(0, 0, 0), (0, 2, 0), (2, 2, None), (3, 2, None), (3, math.inf, 3), ((1, 4), 4, 1), ((1, 4), math.inf, 4),
     ((1, 4), 1, None), ((4, 1), 2, 1)],
)  # fmt: skip
def test_place(level: int | tuple[int, ...], inner: float, held: int | None) -> None:
    assert place(level, inner) == held


class Placeless(Wrapper):
    pass


class Forgetful(Wrapper):
    level = 2
    ranges: ClassVar = {"rho": "a finite number > 0"}

    def __init__(self, base: Optimizer, rho: float = 1.0) -> None:
        super().__init__(base)


def test_a_class_that_does_not_say_enough() -> None:
    with pytest.raises(TypeError, match="Placeless has no `level`: set its place on the class; from the outside in"):
        Placeless(sgd())
    with pytest.raises(TypeError, match=r"Forgetful has a range for rho: hand it on, super\(\).__init__\(base, rho="):
        Forgetful(sgd())


def test_closure_calls() -> None:
    blocks = [["x"], ["y"], ["x"]]
    assert closure_calls(sgd()) == closure_calls(PastExtragradient(sgd())) == closure_calls(Lookahead(sgd(), k=7)) == 1
    assert closure_calls(Averaged(Lookahead(ProximalPoint(Projected(sgd(), BOX), inner=4)))) == 4
    assert closure_calls(ProximalPoint(Alternating(sgd(), blocks), inner=5)) == 15
    assert closure_calls(SAM(Alternating(sgd(), blocks))) == 6


FACTS = ("level", "ranges", "nests", "projects_outside", "elementwise")
EXPORTED = [getattr(optim, name) for name in optim.__all__]


@pytest.mark.parametrize("cls", [each for each in EXPORTED if isinstance(each, type) and hasattr(each, "level")])
def test_facts_are_literals_in_the_source(cls: type[Wrapper]) -> None:
    """What is read without torch is what the class has."""
    read: dict[str, Any] = {}
    for each in reversed(cls.__mro__):
        if issubclass(each, Wrapper):
            (definition,) = ast.parse(inspect.getsource(each)).body
            assert isinstance(definition, ast.ClassDef)
            for statement in definition.body:
                if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                    (target,) = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
                    if isinstance(target, ast.Name) and target.id in FACTS:
                        read[target.id] = ast.literal_eval(statement.value)
    assert read == {fact: getattr(cls, fact) for fact in FACTS}
    assert set(cls.ranges) <= set(inspect.signature(cls).parameters)
    assert all(parse(text) for text in cls.ranges.values())

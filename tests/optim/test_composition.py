"""The order of composition: what is allowed, and that everything else is refused."""

from __future__ import annotations

import itertools

import pytest
from optim_problems import Game
from torch.optim import LBFGS, SGD, Optimizer

from lookahead_bench.optim import Alternating, Averaged, Box, Lookahead, PastExtragradient, Projected, ProximalPoint

BOX = Box(-10, 10)
WRAP = {
    "la": Lookahead,
    "avg": Averaged,
    "proj": lambda b: Projected(b, BOX),
    "prox": ProximalPoint,
    "past": PastExtragradient,
    "alt": Alternating,
}
ALLOWED = ("la", "avg"), ("proj",), ("prox", "past"), ("alt",), ("proj",)


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
        with pytest.raises(ValueError, match=r"cannot stand inside .*: from the outside in: Averaged and Lookahead"):
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

"""Alternating: order, hidden gradients, players."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from optim_problems import Game
from torch.optim import SGD, Adam

from lookahead_bench.optim import Alternating, Lookahead


def test_each_player_meets_the_move_before() -> None:
    game = Game()
    optimizer = Alternating(SGD(game.groups(), lr=0.1), [["y"], ["y"], ["x"]])
    x, y = game.z0[:6], game.z0[6:]
    for _ in range(5):
        for _ in range(2):
            y = y - 0.1 * game.F(np.r_[x, y])[6:]
        x = x - 0.1 * game.F(np.r_[x, y])[:6]
        optimizer.step(game)
        np.testing.assert_allclose(game.point(), np.r_[x, y], rtol=1e-12)
    assert game.calls == [["y"], ["y"], ["x"]] * 5


def test_one_block_is_simultaneous() -> None:
    game, plain = Game(), Game()
    optimizer, base = Alternating(Adam(game.groups()), [["x", "y"]]), Adam(plain.groups())
    for _ in range(4):
        assert torch.equal(optimizer.step(game), base.step(plain))
    assert (game.point() == plain.point()).all()


def test_default_order_is_that_of_the_groups() -> None:
    game = Game()
    groups = [*game.groups()[::-1], {"params": [torch.nn.Parameter(torch.ones(1))], "player": "y"}]
    assert Alternating(SGD(groups, lr=0.1)).order == [["y"], ["x"]]


def test_other_players_gradients_are_hidden_and_put_back() -> None:
    game = Game()
    base = Adam(game.groups())
    optimizer = Alternating(base, [["x"], ["x"], ["y"]])
    game()  # gradients of both stand there before, as they do after a simultaneous step
    stale = game.y.grad
    seen = []
    base.register_step_post_hook(lambda *_: seen.append((game.x.grad is None, game.y.grad is None)))
    optimizer.step(lambda players: game())  # fills everyone's gradient, asked or not
    assert seen == [(False, True), (False, True), (True, False)]
    assert game.y.grad is not None
    assert game.y.grad is not stale
    assert game.x.grad is not None
    assert base.state[game.x]["step"].item() == 2
    assert base.state[game.y]["step"].item() == 1


def test_gradients_are_put_back_when_the_closure_raises() -> None:
    game = Game()
    game()
    before = game.y.grad

    def failing(players: Any) -> Any:
        raise FloatingPointError

    with pytest.raises(FloatingPointError):
        Alternating(SGD(game.groups(), lr=0.1)).step(failing)
    assert game.y.grad is before


def test_a_player_that_has_moved_goes_back_when_a_later_closure_raises() -> None:
    game = Game()
    before = game.point()

    def failing(players: Any) -> Any:
        if players == ["x"]:
            raise FloatingPointError
        return game(players)

    with pytest.raises(FloatingPointError):
        Alternating(SGD(game.groups(), lr=0.1), [["y"], ["y"], ["x"]]).step(failing)
    assert (game.point() == before).all()


def test_lookahead_counts_rounds() -> None:
    game = Game()
    optimizer = Lookahead(Alternating(SGD(game.groups(), lr=0.1), [["y"], ["y"], ["x"]]), k=2)
    for _ in range(3):
        optimizer.step(game)
    assert optimizer.count == 1


def test_a_load_may_not_change_players() -> None:
    game = Game()
    optimizer = Alternating(SGD(game.groups(), lr=0.1))
    state = optimizer.state_dict()
    del state["param_groups"][1]["player"]
    with pytest.raises(ValueError, match="parameter group 1 is player 'y', in the saved state None"):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[1]["player"] == "y"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([], "order must be a list of lists of players"),
        ([["x"], []], "order must be a list of lists"),
        (["x", "y"], "order must be a list of lists"),
        ("xy", "order must be a list of lists"),
        ([["x"], ["z"]], "order names player 'z', the parameter groups have x, y"),
        ([["x"]], "player 'y' never moves"),
    ],
)
def test_refused_orders(order: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Alternating(SGD(Game().groups(), lr=0.1), order)


def test_groups_need_a_player() -> None:
    game = Game()
    with pytest.raises(ValueError, match='parameter group 0 has no player: Alternating needs "player"'):
        Alternating(SGD([game.x], lr=0.1))
    optimizer = Lookahead(Alternating(SGD(game.groups(), lr=0.1)))
    new = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="parameter group 2 has no player"):
        optimizer.add_param_group({"params": [new]})
    with pytest.raises(ValueError, match="player 'z' never moves"):
        optimizer.add_param_group({"params": [new], "player": "z"})
    optimizer.add_param_group({"params": [new], "player": "x"})
    assert len(optimizer.param_groups) == 3

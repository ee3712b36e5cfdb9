"""Gauss-Seidel over the players of a game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from lookahead_bench.optim import foreach
from lookahead_bench.optim.wrapper import Closure, Wrapper


class Alternating(Wrapper):
    """Move the players block after block, each with its gradient at the point that the blocks before it left.

        for block in order:  z_block <- the base's step with F_block(z)

    A step is one round. The closure is called once a block, as closure(players=[...]); it fills the gradients of these
    players. The others' are hidden from the base (`.grad` is None, which torch optimizers skip) and put back when it
    has moved. When the closure raises, the players that have moved go back to where the round began.

    Args:
        base: any torch optimizer whose parameter groups all carry a `player`, a name.
        order: blocks of players; a player may move several times a round, and each moves at least once. None is every
            player by itself, in the order of the parameter groups.

    Raises:
        ValueError: a group without player, an empty order or block, an unknown player, a player that never moves.
        RuntimeError: from `step`, without closure.

    Source: alternating GDA, as in Chavdarova et al. 2021 (arXiv 2006.14567), where the order is d_iters
    times the discriminator, then the generator.
    """

    level = 3
    elementwise = True

    order: list[list[str]]

    def __init__(self, base: Optimizer, order: Sequence[Sequence[str]] | None = None) -> None:
        super().__init__(base, order=order)
        players = list(dict.fromkeys(self._player(i, group) for i, group in enumerate(self.param_groups)))
        if order is not None and (
            isinstance(order, str) or not order or any(isinstance(block, str) or not block for block in order)
        ):
            raise ValueError(f"order must be a list of lists of players, such as {[[p] for p in players]}, got {order}")
        self.order = [[p] for p in players] if order is None else [list(block) for block in order]
        ordered = [player for block in self.order for player in block]
        for player in ordered:
            if player not in players:
                raise ValueError(f"order names player {player!r}, the parameter groups have {', '.join(players)}")
        for player in players:
            self._check_ordered(player)

    @staticmethod
    def _player(index: int, group: Mapping[str, Any]) -> str:
        player = group.get("player")
        if not isinstance(player, str):
            raise ValueError(f'parameter group {index} has no player: Alternating needs "player": NAME in every group')
        return player

    def _check_ordered(self, player: str) -> None:
        if not any(player in block for block in self.order):
            raise ValueError(f"player {player!r} never moves: the order {self.order} does not name it")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if "base" in self.__dict__:
            self._check_ordered(self._player(len(self.param_groups), param_group))
        super().add_param_group(param_group)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        # The saved groups replace ours, `player` and all.
        super()._check_state(state)
        for i, (ours, saved) in enumerate(self._matched_groups(state)):
            if saved.get("player") != ours["player"]:
                raise ValueError(
                    f"parameter group {i} is player {ours['player']!r}, in the saved state {saved.get('player')!r}: "
                    "load a state of the same players in the same order"
                )

    @property
    def evaluations(self) -> int:
        return len(self.order)

    def _update(self, closure: Closure | None) -> Any:
        if closure is None:
            raise RuntimeError("Alternating needs a gradient for every block: call step(closure)")
        early = {player for block in self.order[:-1] for player in block}
        moved = [p for group in self.param_groups if group["player"] in early for p in group["params"]]
        start = foreach.clones(moved)
        try:
            losses = [self._move(block, closure) for block in self.order]
        except BaseException:
            foreach.copy_(moved, start)
            raise
        return losses[0]

    def _move(self, block: list[str], closure: Closure) -> Any:
        others = [p for group in self.param_groups if group["player"] not in block for p in group["params"]]
        gradients = [p.grad for p in others]

        def hide() -> None:
            for p in others:
                p.grad = None

        def evaluate() -> Any:
            loss = closure(players=list(block))
            hide()
            return loss

        hide()
        try:
            return self.base.step(evaluate)
        finally:
            for p, gradient in zip(others, gradients, strict=True):
                p.grad = gradient

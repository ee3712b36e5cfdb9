"""Replicas with optimizer settings of their own: each settings' rows of the parameters are torch parameter groups.

Torch takes every number of an optimizer (lr, momentum, betas, ...) from the parameter group, so R replicas in B bands
(consecutive replicas of the same settings) are driven exactly by B groups a player, whose parameters are rows of the
stacked ones: the same operations with the same numbers as in a run done alone, and nothing of torch's is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from lookahead_bench.configuration import Config
from lookahead_bench.optim.wrapper import Wrapper, chain


def bands_of(configs: Iterable[Config]) -> list[list[Config]]:
    """The configurations of all replicas in bands: consecutive ones whose optimizer is the same."""
    return [list(band) for _, band in groupby(configs, key=lambda config: config["optimizer"])]


class Rows:
    """The rows of every band as parameters, in the memory of the stacked ones.

    players: stacked parameters [R, ...] by player; sizes: replicas of each band, which add up to R.
    """

    def __init__(self, players: Mapping[str, Sequence[Parameter]], sizes: Sequence[int]) -> None:
        self.players, self.sizes = players, list(sizes)
        self._rows = {
            name: [[Parameter(rows) for rows in p.detach().split(self.sizes)] for p in parameters]
            for name, parameters in players.items()
        }

    def of(self, band: int) -> dict[str, list[Parameter]]:
        """The players of one band."""
        return {name: [rows[band] for rows in parameters] for name, parameters in self._rows.items()}

    def hand_down(self, players: Iterable[str]) -> None:
        """Give every band its rows of these players' gradients."""
        for name in players:
            for parameter, rows in zip(self.players[name], self._rows[name], strict=True):
                parts = [None] * len(rows) if parameter.grad is None else parameter.grad.split(self.sizes)
                for row, gradient in zip(rows, parts, strict=True):
                    row.grad = gradient

    def whole(self, constraint: Callable[[list[Tensor]], None] | None) -> Callable[[list[Tensor]], None] | None:
        """The constraint on the joint point, whatever rows of it are handed over."""
        point = [p for parameters in self.players.values() for p in parameters]
        return None if constraint is None else lambda _: constraint([*point])


def merged(chains: Sequence[Optimizer]) -> Optimizer:
    """One chain with the parameter groups of all, which are built alike and differ in numbers.

    Numbers of the innermost optimizer are the groups'; a wrapper's become one for each parameter (`per_parameter`).
    """
    first, *others = chains
    for wrapper, *twins in zip(*map(chain, chains), strict=True):
        for name in wrapper.per_parameter if isinstance(wrapper, Wrapper) else ():
            values = [getattr(one, name) for one in (wrapper, *twins)]
            if any(value != values[0] for value in values):
                setattr(wrapper, name, [v for v, one in zip(values, chains, strict=True) for _ in parameters_of(one)])
    for other in others:
        for group in other.param_groups:
            first.add_param_group(group)
    return first


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]

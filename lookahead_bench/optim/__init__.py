"""Operators on optimizers: each takes a `torch.optim.Optimizer` and is one, so a method is a composition of a few.

From the outside in: Averaged and Lookahead (any number) > Projected > ProximalPoint or PastExtragradient >
Alternating > Projected > a torch optimizer, each but the last optional.
"""

from lookahead_bench.optim.alternating import Alternating
from lookahead_bench.optim.averaged import Averaged
from lookahead_bench.optim.evaluation import evaluation_kind, evaluation_weights, evaluation_weights_differ
from lookahead_bench.optim.lookahead import Lookahead
from lookahead_bench.optim.past_extragradient import PastExtragradient
from lookahead_bench.optim.projected import Ball, Box, Projected
from lookahead_bench.optim.proximal_point import ProximalPoint
from lookahead_bench.optim.wrapper import Wrapper

__all__ = [
    "Alternating",
    "Averaged",
    "Ball",
    "Box",
    "Lookahead",
    "PastExtragradient",
    "Projected",
    "ProximalPoint",
    "Wrapper",
    "evaluation_kind",
    "evaluation_weights",
    "evaluation_weights_differ",
]

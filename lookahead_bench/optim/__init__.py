"""Operators on optimizers: each takes a `torch.optim.Optimizer` and is one, so a method is a composition of a few.

`lookahead_bench.composition` says in which order.
"""

from lookahead_bench.optim.alternating import Alternating
from lookahead_bench.optim.averaged import Averaged
from lookahead_bench.optim.evaluation import (
    evaluation_kinds,
    evaluation_weights,
    evaluation_weights_differ,
    training_mode,
)
from lookahead_bench.optim.first_moment_adam import FirstMomentAdam
from lookahead_bench.optim.lookahead import Lookahead
from lookahead_bench.optim.past_extragradient import PastExtragradient
from lookahead_bench.optim.projected import Ball, Box, Projected
from lookahead_bench.optim.proximal_point import ProximalPoint
from lookahead_bench.optim.sam import SAM
from lookahead_bench.optim.triggered_average import TriggeredAverage
from lookahead_bench.optim.wrapper import Wrapper

__all__ = [
    "SAM",
    "Alternating",
    "Averaged",
    "Ball",
    "Box",
    "FirstMomentAdam",
    "Lookahead",
    "PastExtragradient",
    "Projected",
    "ProximalPoint",
    "TriggeredAverage",
    "Wrapper",
    "evaluation_kinds",
    "evaluation_weights",
    "evaluation_weights_differ",
    "training_mode",
]

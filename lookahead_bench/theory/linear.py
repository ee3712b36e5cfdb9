"""Any composition on a linear operator F(z) = A z.

The method is then a linear map of its whole state (the point and what it remembers), so its matrix is what it does to
the identity: `linear_map` runs the composition that an optimizer's YAML names on matrices instead of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lookahead_bench.theory.factors import layers

Array = np.ndarray[Any, np.dtype[Any]]
Node = Mapping[str, Any]  # a resolved optimizer node

LINEAR_BASES = ("torch.optim.SGD",)
LINEAR_WRAPPERS = ("Alternating", "ProximalPoint", "PastExtragradient", "Lookahead", "Averaged")  # what `Method` does


def each(value: Any) -> list[Any]:
    """A value of every layer, or one for each."""
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass
class State:
    """Quantities as matrices that act on the initial state: the point, and the base's momentum."""

    z: Array
    m: Array
    past: Array  # the remembered gradient, or change


class Method:
    """The composition in an optimizer's YAML, over F(z) = A z; `blocks`: the players' indices."""

    def __init__(self, node: Node, A: Array, blocks: Sequence[Sequence[int]]) -> None:
        names = [w["_target_"].rpartition(".")[2] for w in node["wrappers"]]
        if node["base"]["_target_"] not in LINEAR_BASES:
            raise ValueError(f"{node['base']['_target_']} is not linear in the gradient")
        if unknown := sorted(set(names) - set(LINEAR_WRAPPERS)):
            raise ValueError(f"{', '.join(unknown)} has no closed form here")
        if any(each(node.get("outer_momentum", 0.0))) or set(each(node.get("pullback", "none"))) != {"none"}:
            raise ValueError("no closed form with outer_momentum or pullback here")
        self.A, self.d = A + node.get("weight_decay", 0.0) * np.eye(len(A)), len(A)
        self.lr, self.momentum = float(node["lr"]), float(node.get("momentum", 0.0))
        everything = [list(range(self.d))]
        self.blocks = [list(b) for b in blocks] if "Alternating" in names else everything
        self.inner = int(node["inner"]) if "ProximalPoint" in names else 1
        self.relaxation = float(node["relaxation"]) if "ProximalPoint" in names else 1.0
        self.memory = node["memory"] if "PastExtragradient" in names else None
        self.layers = layers(node["k"], node["alpha"]) if "Lookahead" in names else []
        self.steps = prod(k for k, _ in self.layers)  # steps of a cycle

    def base(self, s: State, at: Array, anchor: Array) -> Array:
        """The base's step from `anchor` with the gradient at `at`; block after block where players alternate."""
        at, to = at.copy(), anchor.copy()
        for block in self.blocks:
            s.m = s.m.copy()
            s.m[block] = self.momentum * s.m[block] + (self.A @ at)[block]
            to[block] = anchor[block] - self.lr * s.m[block]
            at[block] = to[block]  # the next block meets this one's move
        return to

    def step(self, s: State) -> None:
        anchor = s.z
        if self.memory == "gradient":
            ahead = anchor - self.lr * s.past  # without momentum
            s.past = self.A @ ahead
            s.z = self.base(s, ahead, anchor)
        elif self.memory == "step":
            s.z = self.base(s, anchor + s.past, anchor)
            s.past = s.z - anchor
        else:
            at = anchor
            for _ in range(self.inner):
                at = self.base(s, at, anchor)
            s.z = anchor + self.relaxation * (at - anchor)

    def cycle(self, s: State, depth: int) -> None:
        """One cycle of layer `depth`; depth 0 is one step."""
        if depth == 0:
            self.step(s)
            return
        k, alpha = self.layers[depth - 1]
        slow = s.z
        for _ in range(k):
            self.cycle(s, depth - 1)
        s.z = slow + alpha * (s.z - slow)


def linear_map(node: Node, A: Array, blocks: Sequence[Sequence[int]] = ()) -> tuple[Array, int]:
    """The matrix of one whole cycle of the method on (z, momentum, memory), and how many steps a cycle has.

    node: a resolved optimizer node over torch.optim.SGD; A: F(z) = A z; blocks: each player's indices, in order.
    Errors: ValueError for a base or a wrapper that is not linear in the gradient, outer momentum, pullback.
    """
    method = Method(node, A, blocks)
    d = method.d
    identity = np.eye(3 * d)
    remembers = method.memory is not None  # what nothing remembers would be carried along as eigenvalues 1
    s = State(identity[:d], identity[d : 2 * d], identity[2 * d :] * remembers)
    method.cycle(s, len(method.layers))
    return np.vstack([s.z, s.m, s.past]), method.steps


def spectral_radius(matrix: Array) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def factor(node: Node, A: Array, blocks: Sequence[Sequence[int]] = ()) -> float:
    """The asymptotic contraction of the method for each step: (spectral radius of a cycle)^(1 / its steps)."""
    matrix, steps = linear_map(node, A, blocks)
    return float(spectral_radius(matrix) ** (1 / steps))


def calls_per_step(node: Node) -> int:
    """Oracle calls (evaluations of the whole operator) of one step."""
    return int(node["inner"]) if any(w["_target_"].endswith(".ProximalPoint") for w in node["wrappers"]) else 1


def factor_per_call(node: Node, A: Array, blocks: Sequence[Sequence[int]] = ()) -> float:
    """The same for each oracle call."""
    return float(factor(node, A, blocks) ** (1 / calls_per_step(node)))

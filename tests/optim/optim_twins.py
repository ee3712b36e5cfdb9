"""NumPy twins: every method once more, on one vector, as plainly as its equation.

A base twin moves a point by a gradient, `move(z, g)`; a method's twin steps with an operator, `step(F, z)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Operator = Callable[[Vector], Vector]


class Sgd:
    def __init__(self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.m: Vector | float = 0.0

    def move(self, z: Vector, g: Vector) -> Vector:
        g = g + self.weight_decay * z
        self.m = self.momentum * self.m + g
        return z - self.lr * self.m


class Adam:
    def __init__(self, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m: Vector | float = 0.0
        self.v: Vector | float = 0.0
        self.t = 0

    def move(self, z: Vector, g: Vector) -> Vector:
        b1, b2 = self.betas
        self.t += 1
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * g * g
        return z - self.lr * (self.m / (1 - b1**self.t)) / (np.sqrt(self.v / (1 - b2**self.t)) + self.eps)


class Method:
    period = 1

    def step(self, F: Operator, z: Vector) -> Vector:
        raise NotImplementedError

    def shown(self, z: Vector) -> Vector:
        """The evaluation weights."""
        return z


class Plain(Method):
    def __init__(self, base: Sgd | Adam) -> None:
        self.base = base

    def step(self, F: Operator, z: Vector) -> Vector:
        return self.base.move(z, F(z))


class Lookahead(Method):
    def __init__(self, inside: Method, k: int, alpha: float, mu: float = 0.0) -> None:
        self.inside, self.alpha, self.mu = inside, alpha, mu
        self.period = k * inside.period
        self.count = 0
        self.b: Vector | float = 0.0

    def step(self, F: Operator, z: Vector) -> Vector:
        if self.count == 0:
            self.slow = z
        z = self.inside.step(F, z)
        self.count += 1
        if self.count == self.period:
            d = z - self.slow
            self.b = self.mu * self.b + d
            z = self.slow + self.alpha * (d + self.mu * self.b)
            self.count = 0
        return z

    def shown(self, z: Vector) -> Vector:
        return self.slow if self.count else z


class ProximalPoint(Method):
    def __init__(self, base: Sgd | Adam, inner: int, relaxation: float) -> None:
        self.base, self.inner, self.relaxation = base, inner, relaxation

    def step(self, F: Operator, z: Vector) -> Vector:
        w = z
        for _ in range(self.inner):
            w = self.base.move(z, F(w))
        return z + self.relaxation * (w - z)


class Sam(Method):
    def __init__(self, base: Sgd | Adam, rho: float) -> None:
        self.base, self.rho = base, rho

    def step(self, F: Operator, z: Vector) -> Vector:
        g = F(z)
        return self.base.move(z, F(z + self.rho * g / np.linalg.norm(g)))


class PastGradient(Method):
    def __init__(self, base: Sgd | Adam) -> None:
        self.base = base
        self.g: Vector | None = None

    def step(self, F: Operator, z: Vector) -> Vector:
        y = z if self.g is None else self.base.move(z, self.g)
        self.g = F(y)
        return self.base.move(z, self.g)


class PastStep(Method):
    def __init__(self, base: Sgd | Adam) -> None:
        self.base = base
        self.change: Vector | float = 0.0

    def step(self, F: Operator, z: Vector) -> Vector:
        new = self.base.move(z, F(z + self.change))
        self.change = new - z
        return new


class Averaged(Method):
    def __init__(self, inside: Method, decay: float | None) -> None:
        self.inside, self.decay = inside, decay
        self.period = inside.period
        self.iterates: list[Vector] = []

    def step(self, F: Operator, z: Vector) -> Vector:
        if not self.iterates:
            self.average = z
        z = self.inside.step(F, z)
        self.iterates.append(z)
        if self.decay is None:
            self.average = np.mean(self.iterates, axis=0)
        else:
            self.average = self.decay * self.average + (1 - self.decay) * z
        return z

    def shown(self, z: Vector) -> Vector:
        return self.average

"""Closed forms to test against: what a method does to a linear operator, and the noisy quadratic. NumPy only.

A method on a linear operator F(z) = A z is a linear map of its whole state (the point and what it remembers), so its
matrix is what it does to the identity: `linear_map` runs the composition that an optimizer's YAML names on matrices
instead of vectors. Spectral radius, trajectories and stability follow; the scalar formulas of the papers are beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Node = Mapping[str, Any]  # a resolved optimizer node

LINEAR_BASES = ("torch.optim.SGD",)


# ------------------------------------------------------------------- scalar factors: F z = mu z, g: step, one cycle each


def gda(mu: complex, g: float) -> complex:
    """Gradient descent ascent: 1 - g mu."""
    return 1 - g * mu


def eg(mu: complex, g: float, relaxation: float = 1.0) -> complex:
    """Extragradient, EG+: 1 - relaxation g mu (1 - g mu)."""
    return 1 - relaxation * g * mu * (1 - g * mu)


def pp(mu: complex, g: float) -> complex:
    """The exact proximal point: 1 / (1 + g mu). On the quadratic game it converges iff g > -2 rho."""
    return 1 / (1 + g * mu)


def rapp(mu: complex, g: float, inner: int, relaxation: float) -> complex:
    """1 - relaxation + relaxation (1 - (-g mu)^(inner + 1)) / (1 + g mu)."""
    return 1 - relaxation + relaxation * (1 - (-g * mu) ** (inner + 1)) / (1 + g * mu)


def lookahead(m: complex, k: int | Sequence[int], alpha: float | Sequence[float]) -> complex:
    """Layers around a base of factor m: m <- 1 - alpha + alpha m^k, innermost first; per outermost cycle."""
    for steps, weight in layers(k, alpha):
        m = 1 - weight + weight * m**steps
    return m


def layers(k: int | Sequence[int], alpha: float | Sequence[float]) -> list[tuple[int, float]]:
    """[(k, alpha), ...] innermost first; a number stands for every layer."""
    n = max(len(v) if isinstance(v, Sequence) else 1 for v in (k, alpha))
    ks = list(k) if isinstance(k, Sequence) else [k] * n
    alphas = list(alpha) if isinstance(alpha, Sequence) else [alpha] * n
    return list(zip(ks, alphas, strict=True))


def past_extragradient(mu: complex, g: float) -> float:
    """Spectral radius: the largest root of s^2 - (1 - 2 g mu) s - g mu = 0."""
    return float(np.abs(np.roots([1, -(1 - 2 * g * mu), -g * mu])).max())


def heavy_ball(curvature: float, g: float, momentum: float) -> float:
    """Spectral radius of m <- momentum m + a x, x <- x - g m on 1/2 a x^2."""
    return float(np.abs(np.roots([1, -(1 + momentum - g * curvature), momentum])).max())


def game_eigenvalue(L: float, rho: float) -> complex:
    """mu of the quadratic game, F z = mu z with z = x + i y: b - i a, |mu| = L."""
    return complex(L**2 * rho, -np.sqrt(L**2 - L**4 * rho**2))


# ------------------------------------------------------------------------------- any composition on a linear operator


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
        if node.get("outer_momentum") or node.get("pullback", "none") != "none":
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
    Errors: ValueError for a base that is not linear in the gradient, outer momentum and pullback.
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
    return spectral_radius(matrix) ** (1 / steps)


def calls_per_step(node: Node) -> int:
    """Oracle calls (evaluations of the whole operator) of one step."""
    return int(node["inner"]) if any(w["_target_"].endswith(".ProximalPoint") for w in node["wrappers"]) else 1


# ------------------------------------------------------------------------------------------------ the noisy quadratic


@dataclass(frozen=True)
class Moments:
    """x <- m x + noise of variance q: what one cycle does to a number of mean E and variance V."""

    m: Array
    q: Array

    def steady_variance(self) -> Array:
        """The fixed point of V <- m^2 V + q."""
        return self.q / (1 - self.m**2)

    def after(self, cycles: int, mean: Array, variance: Array) -> tuple[Array, Array]:
        """E and V after a number of cycles."""
        power = self.m**cycles
        return power * mean, power**2 * variance + self.q * (1 - power**2) / (1 - self.m**2)


def noisy_cycle(
    curvature: Array, sigma2: Array, g: float, k: int | Sequence[int] = 1, alpha: float | Sequence[float] = 1.0
) -> Moments:
    """SGD, Lookahead or any nesting on 1/2 a (x - c)^2, c ~ N(0, sigma2), for one outermost cycle.

    A step: m = 1 - g a, q = g^2 a^2 sigma2. A layer of k cycles: the sum of k correlated noises has the variance
    q (1 - m^2k) / (1 - m^2), so m <- 1 - alpha + alpha m^k and q <- alpha^2 q (1 - m^2k) / (1 - m^2).
    Source: Zhang et al. 2019 (arXiv 1907.08610), proposition 2; nesting is the same step again.
    """
    moments = Moments(1 - g * curvature, g**2 * curvature**2 * sigma2)
    for steps, weight in layers(k, alpha):
        noise = weight**2 * moments.q * sum(moments.m ** (2 * i) for i in range(steps))
        moments = Moments(1 - weight + weight * moments.m**steps, noise)
    return moments


def noisy_path(
    curvature: Array, sigma2: Array, rates: Array, k: int | Sequence[int], alpha: float | Sequence[float], start: Array
) -> Array:
    """E[x_i^2] after every step, [T, d], of SGD (k = 1, alpha = 1), Lookahead or any nesting with a rate for each step.

    The fast weights and every layer's slow ones are one linear system, whose first two moments are followed.
    """
    nested = layers(k, alpha)
    n, d = len(nested) + 1, len(curvature)
    mean = np.tile(start, (n, 1)).astype(float)
    covariance = np.zeros((n, n, d))
    found = np.empty((len(rates), d))
    for t, rate in enumerate(rates, start=1):
        shrink = np.ones((n, d))
        shrink[0] = 1 - rate * curvature
        mean = shrink * mean
        covariance = covariance * shrink[:, None] * shrink[None]
        covariance[0, 0] += rate**2 * curvature**2 * sigma2
        for depth, (_, weight) in enumerate(nested, start=1):
            if t % prod(steps for steps, _ in nested[:depth]) == 0:
                sync = np.eye(n)  # this layer's slow weights move, and everything inside restarts from them
                sync[: depth + 1] = 0.0
                sync[: depth + 1, 0], sync[: depth + 1, depth] = weight, 1 - weight
                mean = sync @ mean
                covariance = np.einsum("ij,jkd,lk->ild", sync, covariance, sync)
        found[t - 1] = mean[0] ** 2 + covariance[0, 0]
    return found


def expected_loss(curvature: Array, sigma2: Array, mean: Array, variance: Array) -> float:
    """1/2 sum_i a_i (E[x_i]^2 + V[x_i] + sigma_i^2)."""
    return float((curvature * (mean**2 + variance + sigma2)).sum() / 2)


# ------------------------------------------------------------------------------------------------------- RAdam, pPCA


def radam_rho(t: Array, beta2: float) -> Array:
    """rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t), rho_inf = 2 / (1 - beta2) - 1."""
    power = beta2**t
    return 2 / (1 - beta2) - 1 - 2 * t * power / (1 - power)


def radam_rectifier(t: Array, beta2: float) -> Array:
    """r_t = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)); nan while rho_t <= 4."""
    rho, limit = radam_rho(t, beta2), 2 / (1 - beta2) - 1
    inside = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
    return np.sqrt(np.where(rho > 4, inside, np.nan))


def adaptive_rate_variance(rho: Array) -> Array:
    """Var sqrt(rho / chi2_rho) = rho/(rho-2) - rho 2^(2 rho - 5) / pi B((rho-1)/2, (rho-1)/2)^2, rho > 2 (sigma = 1)."""
    from scipy.special import betaln

    half = (np.asarray(rho, dtype=float) - 1) / 2
    return rho / (rho - 2) - rho / np.pi * np.exp((2 * rho - 5) * np.log(2) + 2 * betaln(half, half))


def adaptive_rate_variance_first_order(rho: Array) -> Array:
    """rho / (2 (rho - 2)(rho - 4)), rho > 4."""
    return rho / (2 * (rho - 2) * (rho - 4))


def ppca_optimum(eigenvalues: Array, latent: int, s2: float | None = None) -> tuple[float, int, float]:
    """The largest mean log-likelihood of pPCA (the linear VAE's best ELBO), the active dimensions, the noise variance.

    eigenvalues: of the sample covariance, all d of them; latent q < d; s2: fixed noise variance > 0, None: the best,
    the mean of the discarded eigenvalues. Only directions with an eigenvalue above s2 are kept.
    Source: Tipping, Bishop 1999; Lucas et al. 2019 (arXiv 1911.02469).
    """
    lam = np.sort(np.asarray(eigenvalues, dtype=float))[::-1]
    d = len(lam)
    noise = float(lam[latent:].mean()) if s2 is None else s2
    active = int((lam[:latent] > noise).sum())
    kept, rest = lam[:active], lam[active:]
    value = d * np.log(2 * np.pi) + np.log(kept).sum() + (d - active) * np.log(noise) + active + rest.sum() / noise
    return -value / 2, active, noise

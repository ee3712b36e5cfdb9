"""What one step or cycle multiplies z by where F z = mu z: the scalar formulas of the papers. g is the step size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def gda(mu: complex, g: float) -> complex:
    """Gradient descent ascent: 1 - g mu."""
    return 1 - g * mu


def eg(mu: complex, g: float, relaxation: float = 1.0) -> complex:
    """Extragradient, EG+: 1 - relaxation g mu (1 - g mu)."""
    return 1 - relaxation * g * mu * (1 - g * mu)


def pp(mu: complex, g: float, relaxation: float = 1.0) -> complex:
    """The exact proximal point, relaxed: 1 - relaxation + relaxation / (1 + g mu).

    On the quadratic game it converges iff rho > -g (1 - relaxation / 2): |1 + (1 - relaxation) w| < |1 + w| with
    w = g mu, |w| = g L and Re w = g rho L^2.
    """
    return 1 - relaxation + relaxation / (1 + g * mu)


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


def lookahead_heavy_ball(curvature: Array, g: float, momentum: float, k: int, alpha: float) -> Array:
    """Lookahead over heavy ball, per step: (spectral radius of a cycle on (x, g m))^(1 / k), of every curvature.

    Not monotone in the curvature: k steps may swing the momentum to where the interpolation does not damp it.
    """
    c = g * np.asarray(curvature, dtype=float)
    step = np.stack(
        [np.stack([1 - c, np.full_like(c, -momentum)], -1), np.stack([c, np.full_like(c, momentum)], -1)], -2
    )
    cycle = np.linalg.matrix_power(step, k)
    cycle[..., 0, :] *= alpha
    cycle[..., 0, 0] += 1 - alpha
    return np.asarray(np.abs(np.linalg.eigvals(cycle)).max(-1) ** (1 / k))


def game_eigenvalue(L: float, rho: float) -> complex:
    """mu of the quadratic game, F z = mu z with z = x + i y: b - i a, |mu| = L."""
    return complex(L**2 * rho, -np.sqrt(L**2 - L**4 * rho**2))

"""RAdam's rectifier and the variance of the adaptive learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def radam_rho(t: Array, beta2: float) -> Array:
    """rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t), rho_inf = 2 / (1 - beta2) - 1."""
    power = beta2**t
    return 2 / (1 - beta2) - 1 - 2 * t * power / (1 - power)


def effective_gradients(t: Array, beta2: float) -> Array:
    """(sum of weights)^2 / sum of their squares in v_t: (1 + beta2)/(1 - beta2) (1 - beta2^t)/(1 + beta2^t).

    v_t of N(0, 1) gradients is close to chi^2 of so many degrees of freedom over their number (Satterthwaite 1946).
    The paper's rho_t has the same ends and is smaller between, by up to 10 % (beta2 = 0.999, t = 1,000).
    """
    power = beta2**t
    return np.asarray((1 + beta2) / (1 - beta2) * (1 - power) / (1 + power))


def radam_rectifier(t: Array, beta2: float) -> Array:
    """r_t = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)); nan while rho_t <= 4."""
    rho, limit = radam_rho(t, beta2), 2 / (1 - beta2) - 1
    inside = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
    return np.sqrt(np.where(rho > 4, inside, np.nan))


def adaptive_rate_variance(rho: Array) -> Array:
    """Var sqrt(rho / chi2_rho) = rho/(rho-2) - rho 2^(2 rho - 5) / pi B((rho-1)/2, (rho-1)/2)^2, rho > 2."""
    from scipy.special import betaln

    half = (np.asarray(rho, dtype=float) - 1) / 2
    return np.asarray(rho / (rho - 2) - rho / np.pi * np.exp((2 * rho - 5) * np.log(2) + 2 * betaln(half, half)))


def adaptive_rate_variance_first_order(rho: Array) -> Array:
    """rho / (2 (rho - 2)(rho - 4)), rho > 4."""
    return np.asarray(rho / (2 * (rho - 2) * (rho - 4)))

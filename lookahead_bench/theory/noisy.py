"""The noisy quadratic under SGD, Lookahead and any nesting: means and variances, steady state, whole paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lookahead_bench.theory.factors import layers

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Moments:
    """x <- m x + noise of variance q: what one cycle does to a number of mean E and variance V."""

    m: Array
    q: Array

    def steady_variance(self) -> Array:
        """The fixed point of V <- m^2 V + q."""
        return np.asarray(self.q / (1 - self.m**2))

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

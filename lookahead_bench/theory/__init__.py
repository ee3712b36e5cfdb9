"""Closed forms to test and to draw against. NumPy only."""

from lookahead_bench.theory.factors import (
    eg,
    game_eigenvalue,
    gda,
    heavy_ball,
    layers,
    lookahead,
    lookahead_heavy_ball,
    past_extragradient,
    pp,
    rapp,
)
from lookahead_bench.theory.linear import (
    LINEAR_BASES,
    calls_per_step,
    factor,
    factor_per_call,
    linear_map,
    spectral_radius,
)
from lookahead_bench.theory.noisy import Moments, expected_loss, noisy_cycle, noisy_path
from lookahead_bench.theory.ppca import ppca_optimum
from lookahead_bench.theory.radam import (
    adaptive_rate_variance,
    adaptive_rate_variance_first_order,
    effective_gradients,
    radam_rectifier,
    radam_rho,
)

__all__ = [
    "LINEAR_BASES",
    "Moments",
    "adaptive_rate_variance",
    "adaptive_rate_variance_first_order",
    "calls_per_step",
    "effective_gradients",
    "eg",
    "expected_loss",
    "factor",
    "factor_per_call",
    "game_eigenvalue",
    "gda",
    "heavy_ball",
    "layers",
    "linear_map",
    "lookahead",
    "lookahead_heavy_ball",
    "noisy_cycle",
    "noisy_path",
    "past_extragradient",
    "pp",
    "ppca_optimum",
    "radam_rectifier",
    "radam_rho",
    "rapp",
    "spectral_radius",
]

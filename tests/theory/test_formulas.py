"""The closed forms themselves, against numbers of the papers' files and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from lookahead_bench import theory
from lookahead_bench.report.theory import noisy_quadratic

# rapp_2023, closed-form-quadratic, rounded there at 5e-7: rho, gamma, GDA, EG, EG+, PP, RAPP(20, 1/2), LA-GDA(2, 1/4)
RAPP_ROWS = [
    (0.0, 0.5, 1.118034, 0.901388, 0.910014, 0.894427, 0.921954, 0.970261),
    (-0.1, 0.9, 1.410674, 1.097406, 0.836167, 0.78326, 0.783494, 0.977155),
    (-1 / 3, 0.9, 1.552417, 1.513968, 1.076116, 0.909091, 0.845959, 1.135454),
    (-0.45, 0.9, 1.618641, 1.722876, 1.205653, 1.0, 0.88981, 1.220469),
]


@pytest.mark.parametrize("row", RAPP_ROWS)
def test_rows_of_the_rapp_paper(row: tuple[float, ...]) -> None:
    rho, g, *expected = row
    mu = theory.game_eigenvalue(1.0, rho)
    found = [theory.gda(mu, g), theory.eg(mu, g), theory.eg(mu, g, 0.5), theory.pp(mu, g),
             theory.rapp(mu, g, 20, 0.5), theory.lookahead(theory.gda(mu, g), 2, 0.25)]  # fmt: skip
    np.testing.assert_allclose(np.abs(found), expected, atol=5.1e-7)


@pytest.mark.parametrize("relaxation", [0.3, 0.5, 1.0])
def test_where_the_relaxed_proximal_point_converges(relaxation: float) -> None:
    for g in (0.2, 0.9):
        bound = -g * (1 - relaxation / 2)
        for rho, converges in ((bound - 1e-4, False), (bound + 1e-4, True)):
            assert (abs(theory.pp(theory.game_eigenvalue(1.0, rho), g, relaxation)) < 1) is converges


def test_past_extragradient_on_the_bilinear_game() -> None:
    radii = {0.1: 0.994936153005124, 0.3: 0.9486832980505127, 0.57: 0.9807107900811595, 0.58: 1.006860949781755}
    for g, radius in radii.items():
        assert theory.past_extragradient(-1j, g) == pytest.approx(radius, rel=1e-12)


def test_steady_states_of_the_noisy_quadratic() -> None:
    one, tenth = np.array([1.0]), np.array([0.1])
    assert theory.noisy_cycle(one, one, 0.5).steady_variance()[0] == pytest.approx(1 / 3)
    assert theory.noisy_cycle(one, one, 0.5, 5, 0.5).steady_variance()[0] == pytest.approx(0.1134020618556701)
    assert theory.noisy_cycle(tenth, 1 / tenth, 0.5, 5, 0.5).steady_variance()[0] == pytest.approx(0.12051987980555638)


def test_the_papers_fixed_point_and_the_recursion_agree() -> None:
    a, g, k, alpha = 1 / np.arange(1.0, 20), 0.7, 5, 0.3
    m = 1 - g * a
    sgd = theory.noisy_cycle(a, 1 / a, g).steady_variance()
    top = alpha**2 * (1 - m ** (2 * k))
    expected = top / (top + 2 * alpha * (1 - alpha) * (1 - m**k)) * sgd
    found = theory.noisy_cycle(a, 1 / a, g, k, alpha).steady_variance()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found < sgd).all()
    nested = theory.noisy_cycle(a, 1 / a, g, [k, 1], [alpha, 1.0]).steady_variance()
    np.testing.assert_allclose(nested, found, rtol=1e-12)


def test_time_saved_at_equal_final_loss() -> None:
    """Lookahead 2019's figure in 100 dimensions with k = 5; the numbers by root finding, without this code."""
    saved = 100 * (
        1 - np.array([noisy_quadratic.best_times(1), noisy_quadratic.times(5, 0.5)]) / noisy_quadratic.times(1, 1.0)
    )
    at = [np.interp([0.1, 0.3, 1.0, 2.0], noisy_quadratic.TARGETS, row) for row in saved]
    np.testing.assert_allclose(at, [[12.98, 10.40, 3.60, 0.02], [4.31, 8.57, -1.86, -30.58]], atol=0.15)


def test_lookahead_over_heavy_ball_of_every_curvature() -> None:
    curvature = np.array([1e-4, 0.03, 0.86, 1.0])
    node = {"base": {"_target_": "torch.optim.SGD"}, "lr": 0.9, "momentum": 0.99, "k": 20, "alpha": 0.5,
            "wrappers": [{"_target_": "lookahead_bench.optim.Lookahead"}]}  # fmt: skip
    found = theory.lookahead_heavy_ball(curvature, 0.9, 0.99, 20, 0.5)
    np.testing.assert_allclose(found, [theory.factor(node, np.diag([a])) for a in curvature], rtol=1e-9)
    alone = theory.lookahead_heavy_ball(curvature, 0.9, 0.99, 1, 1.0)
    np.testing.assert_allclose(alone, [theory.heavy_ball(a, 0.9, 0.99) for a in curvature], rtol=1e-7)


def test_radam_rows() -> None:
    t = np.array([1, 5, 10, 1000])
    np.testing.assert_allclose(theory.radam_rho(t, 0.999)[:2], [1.0, 4.995998000395048], rtol=1e-9)
    np.testing.assert_allclose(
        theory.radam_rectifier(t, 0.999)[1:], [0.017311503166315034, 0.04899801344710748, 0.6453256523380656], rtol=1e-9
    )
    rho = np.array([100.0, 500.0])
    np.testing.assert_allclose(
        theory.adaptive_rate_variance(rho), theory.adaptive_rate_variance_first_order(rho), rtol=0.03
    )


def test_ppca_optimum_is_the_gaussian_log_likelihood() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 8)) @ np.diag(np.linspace(2, 0.3, 8))
    X -= X.mean(0)
    S = X.T @ X / len(X)
    lam, U = np.linalg.eigh(S)
    value, active, s2 = theory.ppca_optimum(lam, 3)
    W = U[:, -3:] * np.sqrt(lam[-3:] - s2)
    C = W @ W.T + s2 * np.eye(8)
    direct = -0.5 * (8 * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S)))
    assert value == pytest.approx(direct, abs=1e-9)
    assert active == 3
    assert theory.ppca_optimum(lam, 3, s2=float(lam[-2]) * 1.01)[1] == 1

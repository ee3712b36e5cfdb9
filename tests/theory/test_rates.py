"""The factor that a run shows against the closed form, for every optimizer YAML that is linear in the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from lookahead_bench import configuration, theory
from lookahead_bench.configuration.files import CONF, options

Rows = Callable[..., list[pd.DataFrame]]
LR = 0.4
PROBLEMS = {
    "quadratic_game": ["dataset=quadratic_game", "dataset.rho=-0.2", "dataset.start=[1.0,0.3]"],
    "quadratic": ["dataset=quadratic", "dataset.dim=2", "dataset.condition=8.0"],
}


def node_of(optimizer: str, *overrides: str) -> dict[str, Any]:
    return configuration.load(["dataset=quadratic_game", f"optimizer={optimizer}", *overrides])["optimizer"]


def has_closed_form(optimizer: str) -> bool:
    """Whether the theory knows its matrix: a composition of known wrappers over a base that is linear in F.

    Its file alone is looked at, without a task: composing each of them would take every collection of tests seconds.
    """
    alone = OmegaConf.create({"optimizer": OmegaConf.load(CONF / "optimizer" / f"{optimizer}.yaml")})
    node: Any = OmegaConf.to_container(alone, resolve=True)["optimizer"]  # type: ignore[index, call-overload]
    try:
        theory.linear_map(node, np.eye(2), blocks=[[0], [1]])
    except ValueError:
        return False
    return True


LINEAR = [name for name in options("optimizer") if has_closed_form(name)]


def test_what_has_a_closed_form() -> None:
    assert {"sgd", "lookahead", "multilayer", "polyak", "ema", "alt_gda", "la_gda", "extragradient", "eg_plus", "rapp",
            "past_extragradient", "la_eg", "la_eg_plus"} <= set(LINEAR)  # fmt: skip
    assert not {"adam", "lookahead_radam", "sam", "la_sam"} & set(LINEAR)  # not linear in the gradient


def operator(problem: str) -> np.ndarray:
    if problem == "quadratic":
        return np.diag([1 / 8, 1.0])
    mu = theory.game_eigenvalue(1.0, -0.2)  # z = x + i y: F z = mu z
    return np.array([[mu.real, -mu.imag], [mu.imag, mu.real]])


def measured_factor(points: np.ndarray, order: int) -> float:
    """Spectral radius of the linear recurrence of this order that the points [T, 2] obey."""
    known = np.hstack([points[i : len(points) - order + i] for i in range(order)])
    solution, *_ = np.linalg.lstsq(known, points[order:], rcond=None)
    np.testing.assert_allclose(known @ solution, points[order:], atol=1e-11)  # they do obey one
    companion = np.eye(2 * order, k=2)
    companion[-2:] = solution.T
    return theory.spectral_radius(companion)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("optimizer", LINEAR)
def test_measured_factor_is_the_closed_form(rows: Rows, optimizer: str, problem: str) -> None:
    settings = [f"optimizer={optimizer}", f"optimizer.lr={LR}"]
    if problem == "quadratic" and optimizer in ("sgd", "lookahead", "multilayer", "polyak"):
        settings.append("optimizer.momentum=0.5")
    node = node_of(*settings[0].split("=")[1:], *settings[1:])
    matrix, steps = theory.linear_map(node, operator(problem), blocks=[[0], [1]])
    order = 2 if node.get("momentum") or "memory" in node else 1
    (frame,) = rows(*PROBLEMS[problem], *settings, f"max_steps={steps * (3 * order + 2)}")
    points = frame[["x", "y"]].to_numpy()[::steps]
    assert measured_factor(points, order) == pytest.approx(theory.spectral_radius(matrix), rel=1e-6)
    # and the whole trajectory is the matrix's
    state = np.concatenate([points[0], np.zeros(4)])
    for point in points:
        np.testing.assert_allclose(state[:2], point, rtol=1e-9, atol=1e-12)
        state = matrix @ state


GAME = theory.game_eigenvalue(1.0, -0.2)
SCALAR = {
    "sgd": ([], theory.gda(GAME, LR)),
    "extragradient": ([], theory.eg(GAME, LR)),
    "eg_plus": ([], theory.eg(GAME, LR, 0.5)),
    "rapp": (["inner=20", "relaxation=0.5"], theory.rapp(GAME, LR, 20, 0.5)),
    "la_gda": (["k=2", "alpha=0.25"], theory.lookahead(theory.gda(GAME, LR), 2, 0.25)),
    "la_eg": ([], theory.lookahead(theory.eg(GAME, LR), 5, 0.5)),
    "la_eg_plus": ([], theory.lookahead(theory.eg(GAME, LR, 0.5), 5, 0.5)),
    "multilayer": (["k=[3,4]", "alpha=[0.5,0.8]"], theory.lookahead(theory.gda(GAME, LR), [3, 4], [0.5, 0.8])),
}


@pytest.mark.parametrize("optimizer", SCALAR)
def test_the_papers_scalar_factors(rows: Rows, optimizer: str) -> None:
    own, factor = SCALAR[optimizer]
    settings = [f"optimizer={optimizer}", f"optimizer.lr={LR}", *(f"optimizer.{o}" for o in own)]
    _, steps = theory.linear_map(node_of(optimizer, *settings[1:]), operator("quadratic_game"))
    (frame,) = rows(*PROBLEMS["quadratic_game"], *settings, f"max_steps={3 * steps}")
    distance = frame.distance.to_numpy()[::steps]
    np.testing.assert_allclose(distance[1:] / distance[:-1], abs(factor), rtol=1e-6)
    assert frame.rate.iloc[-1] == pytest.approx(abs(factor) ** (1 / steps), rel=1e-6)


def test_rapp_tends_to_the_proximal_point(rows: Rows) -> None:
    settings = ["optimizer=rapp", "optimizer.inner=60", "optimizer.relaxation=1.0", "optimizer.lr=0.5", "max_steps=5"]
    (frame,) = rows(*PROBLEMS["quadratic_game"], *settings)
    ratios = (frame.distance / frame.distance.shift()).iloc[1:]
    np.testing.assert_allclose(ratios, abs(theory.pp(GAME, 0.5)), rtol=1e-6)


# lookahead_minmax_2021, fig-bilinear-batch: F has the eigenvalues +-i, so a step of GDA multiplies by 1 + i lr.
BATCH = [
    ("sgd", 0.3, [], theory.gda(-1j, 0.3)),
    ("extragradient", 0.3, [], theory.eg(-1j, 0.3)),
    ("la_gda", 0.3, ["k=6", "alpha=0.5"], theory.lookahead(theory.gda(-1j, 0.3), 6, 0.5)),
    ("la_gda", 0.3, ["k=6", "alpha=0.4"], theory.lookahead(theory.gda(-1j, 0.3), 6, 0.4)),
    ("la_gda", 0.3, ["k=6", "alpha=0.8"], theory.lookahead(theory.gda(-1j, 0.3), 6, 0.8)),
    ("la_eg", 0.3, ["k=6", "alpha=0.5"], theory.lookahead(theory.eg(-1j, 0.3), 6, 0.5)),
    ("la_gda", 0.2, ["k=15", "alpha=0.3"], theory.lookahead(theory.gda(-1j, 0.2), 15, 0.3)),
]


@pytest.mark.parametrize(("optimizer", "lr", "own", "factor"), BATCH)
def test_bilinear_batch_factors(rows: Rows, optimizer: str, lr: float, own: list[str], factor: complex) -> None:
    steps = int(own[0].split("=")[1]) if own else 1
    settings = [f"optimizer={optimizer}", f"optimizer.lr={lr}", *(f"optimizer.{o}" for o in own)]
    for frame in rows("dataset=bilinear", "replicas=2", *settings, f"max_steps={4 * steps}"):
        distance = frame.distance.to_numpy()[::steps]
        np.testing.assert_allclose(distance[1:] / distance[:-1], abs(factor), rtol=1e-6)


# vi_gan_2019, fig-1: distance after 100 iterations, re-implemented there; alternation is phi first.
VI_GAN = [
    ("sgd", ["lr=0.1"], 1.077588556308427),
    ("alt_gda", ["lr=0.1", "order=[[phi],[theta]]"], 0.9958721691095697),
    ("past_extragradient", ["lr=0.5"], 1.368169595481108e-13),  # theirs remembers F(w_0) at first: 1.2312e-13
    ("extragradient", ["lr=0.6"], 2.673920478053071e-06),
    ("first_moment_adam", ["lr=0.01"], 0.9956877270194389),
]


@pytest.mark.parametrize(("optimizer", "own", "distance"), VI_GAN)
def test_vi_gan_distances_after_100_iterations(rows: Rows, optimizer: str, own: list[str], distance: float) -> None:
    (frame,) = rows("dataset=vi_gan_bilinear", f"optimizer={optimizer}", *(f"optimizer.{o}" for o in own))
    assert len(frame) == 101
    assert frame.distance.iloc[-1] == pytest.approx(distance, rel=1e-6, abs=0)


def test_radam_rectifier_is_measured(rows: Rows) -> None:
    lr, beta1, beta2 = 0.01, 0.9, 0.999
    (frame,) = rows("dataset=quadratic", "dataset.dim=1", "optimizer=radam", f"optimizer.lr={lr}", "max_steps=60")
    x = 1.0 * np.concatenate([[1.0], 1.0 * points(frame)])
    m = v = 0.0
    for t, gradient in enumerate(x[:-1], start=1):
        m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2
        moved = (x[t - 1] - x[t]) / (lr * m / (1 - beta1**t))
        if t > 5:  # before, RAdam's step is momentum's
            adaptive = math.sqrt(1 - beta2**t) / (math.sqrt(v) + 1e-8)
            assert moved / adaptive == pytest.approx(theory.radam_rectifier(np.array([t]), beta2)[0], rel=1e-6)
        else:
            assert moved == pytest.approx(1.0, rel=1e-6)


def points(frame: pd.DataFrame) -> np.ndarray:
    """One number a replica: its distance to the solution 0 is its modulus, and it stays positive here."""
    return frame.distance.to_numpy()[1:]

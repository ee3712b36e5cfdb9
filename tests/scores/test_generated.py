"""Scores of generated images against formulas and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from lookahead_bench.scores.generated import Outputs, Real


def random(count: int, features: int, seed: int, scale: float = 1.0) -> Tensor:
    mixing = torch.randn(features, features, generator=torch.Generator().manual_seed(seed + 1000))
    return scale * torch.randn(count, features, generator=torch.Generator().manual_seed(seed)) @ mixing


def one_hot(classes: list[int], of: int = 10, size: float = 100.0) -> Tensor:
    return size * torch.nn.functional.one_hot(torch.tensor(classes), of).float()


def real(features: Tensor | None = None, classes: list[int] | None = None) -> Real:
    features = random(20, 3, 0) if features is None else features
    return Real(Outputs(features, one_hot(list(range(10)) * 2 if classes is None else classes)))


def cross(mean: list[float], deviation: list[float]) -> Tensor:
    """Points on the axes around the mean: mean, and deviation of every coordinate, are exactly these."""
    d = len(mean)
    steps = torch.tensor(deviation, dtype=torch.float64).diag() * math.sqrt((2 * d - 1) / 2)
    return torch.tensor(mean, dtype=torch.float64) + torch.cat([steps, -steps])


def test_frechet_distance_of_independent_coordinates() -> None:
    ours, theirs = cross([1, 2, 3], [1, 2, 0.5]), cross([0, 2, 5], [2, 2, 3])
    assert real(theirs).fid(ours) == pytest.approx((1 + 0 + 4) + (1 + 0 + 2.5**2), rel=1e-9)
    assert real(ours).fid(theirs) == pytest.approx(12.25, rel=1e-9)
    assert real(ours).fid(ours) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frechet_distance_is_the_formula_with_a_matrix_root(seed: int) -> None:
    ours, theirs = random(200, 6, seed), random(150, 6, seed + 10, scale=2.0) + 1
    (m1, c1), (m2, c2) = (
        (x.double().mean(0).numpy(), np.cov(x.double().numpy(), rowvar=False)) for x in (ours, theirs)
    )
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real)
    assert real(theirs).fid(ours) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_fewer_images_than_features() -> None:
    few = random(20, 40, 5)
    assert real(few).fid(few) == pytest.approx(0, abs=1e-3 * few.var().item())
    assert real(few).fid(few + 1) == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize("classes", [1, 2, 5, 10])
def test_inception_score_of_images_that_are_certain_is_the_number_of_classes(classes: int) -> None:
    logits = one_hot([i % classes for i in range(100)])
    assert real().scores(Outputs(random(100, 3, 1), logits))["inception_score"] == pytest.approx(classes, rel=1e-9)


def test_inception_score_of_images_that_are_alike_is_one() -> None:
    for logits in (torch.zeros(100, 10), torch.arange(10.0).repeat(100, 1)):
        assert real().scores(Outputs(random(100, 3, 1), logits))["inception_score"] == pytest.approx(1, rel=1e-9)


CLASSES: dict[str, tuple[list[int], list[int], float, float, int]] = {  # seen, real, entropy, total variation, modes
    "all alike": ([*range(10)] * 10, [*range(10)], math.log(10), 0.0, 10),
    "one": ([3] * 100, [*range(10)], 0.0, 0.9, 1),
    "another": ([3] * 100, [4] * 10, 0.0, 1.0, 1),
    "two, unevenly": (
        [0] * 75 + [1] * 25, [0] * 5 + [1] * 5, -0.75 * math.log(0.75) - 0.25 * math.log(0.25), 0.25, 2
    ),
    "a hundredth is a tenth of a fair share": ([0] * 99 + [1], [*range(10)], math.nan, 0.89, 2),
    "less is no mode": ([0] * 199 + [1], [*range(10)], math.nan, 0.895, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASSES)
def test_entropy_total_variation_and_modes(case: str) -> None:
    seen, known, entropy, variation, modes = CLASSES[case]
    found = real(classes=known).scores(Outputs(random(len(seen), 3, 1), one_hot(seen)))
    assert math.isnan(entropy) or found["entropy"] == pytest.approx(entropy, abs=1e-12)
    assert found["total_variation"] == pytest.approx(variation, abs=1e-12)
    assert found["modes"] == modes


def test_kernel_distance_is_the_unbiased_estimate() -> None:
    """With as many as there are in a subset, every subset is all of them."""
    ours, theirs = random(60, 4, 1), random(60, 4, 2) + 0.5

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a.double() @ b.double().T / 4 + 1) ** 3

    def apart(k: Tensor) -> float:
        return ((k.sum() - k.diagonal().sum()) / (60 * 59)).item()

    expected = apart(kernel(ours, ours)) + apart(kernel(theirs, theirs)) - 2 * kernel(ours, theirs).mean().item()
    found = real(theirs).thorough(Outputs(ours, torch.zeros(60, 10)))["kid"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_set_is_like_itself() -> None:
    features = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    found = real(features).thorough(Outputs(features, torch.zeros(400, 10)))
    assert (found["precision"], found["recall"]) == (1, 1)
    assert found["kid"] == pytest.approx(0, abs=0.1)
    far = real(features).thorough(Outputs(features + 10, torch.zeros(400, 10)))
    assert (far["precision"], far["recall"]) == (0, 0)
    assert far["kid"] > 100


def test_a_part_of_the_real_ones_is_precise_and_lacks_the_rest() -> None:
    features = torch.cat([random(50, 3, 1), random(150, 3, 1).mul(0.1) + 100])
    found = real(features).thorough(Outputs(features[:50], torch.zeros(50, 10)))
    assert found["precision"] == 1
    assert found["recall"] == pytest.approx(0.25)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_a_score_that_is_not_a_number(wrong: float) -> None:
    features, logits = random(50, 3, 1), one_hot([0] * 50)
    features[3, 1] = logits[3, 1] = wrong
    found = real().scores(Outputs(features, logits)) | real().thorough(Outputs(features, logits))
    for metric in ("fid", "inception_score", "kid", "precision", "recall"):
        assert math.isnan(found[metric]), metric

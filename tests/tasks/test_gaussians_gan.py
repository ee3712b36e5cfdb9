"""A GAN on Gaussians in the plane: where they lie, what is drawn, and scores of samples that are placed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from gan_tasks import mixture
from tiny_runs import rows
from torch import Tensor

from lookahead_bench import run
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.gan import GENERATOR
from lookahead_bench.tasks.gaussians_gan import SIDE, centres, drawn, sliced_wasserstein

FAR = torch.tensor([3.0, 4.0], dtype=torch.float64)


def scores(samples: Tensor) -> dict[str, float]:
    """Of samples as if the generator had made them."""
    task = mixture(scored=len(samples))
    task.forward[GENERATOR] = lambda latent: samples
    with torch.no_grad():
        ((split, found),) = task.evaluate(0)
    assert split == "test"
    return {metric: value.item() for metric, value in found.items()}


# --------------------------------------------------------------------------------------------------------- the mixture


def test_centres_of_a_ring_and_of_a_grid() -> None:
    torch.testing.assert_close(centres("ring", 4), torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]))
    corner = math.sqrt(0.5)
    torch.testing.assert_close(centres("ring", 8)[1], torch.tensor([corner, corner]))
    assert centres("grid", 4).tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert centres("grid", 9).tolist() == [[x, y] for x in (-1, 0, 1) for y in (-1, 0, 1)]
    assert centres("grid", 1).tolist() == [[0, 0]]
    assert centres("ring", 1).tolist() == [[1, 0]]


@pytest.mark.parametrize(("layout", "modes"), [("ring", 8), ("grid", 9)])
def test_real_samples_lie_around_all_centres_equally(layout: str, modes: int) -> None:
    task = mixture(layout=layout, modes=modes, sigma=0.05, batch_size=20_000)
    samples = task.real(0)
    nearest = torch.cdist(samples, task.centres).argmin(1)
    for mode in range(modes):
        own = samples[nearest == mode] - task.centres[mode]
        assert len(own) / 20_000 == pytest.approx(1 / modes, abs=0.01)
        assert own.mean(0).tolist() == pytest.approx([0, 0], abs=0.006)  # five deviations of a mean of 2,000
        assert own.std(0).tolist() == pytest.approx([0.05, 0.05], rel=0.1)


def test_a_batch_is_a_function_of_the_seed_and_the_draw() -> None:
    def batch(seed: int, draw: int) -> list[Tensor]:
        real, latent, mixing = mixture(seeds=[seed], gradient_penalty=1.0).batch(draw)
        assert mixing is not None
        assert (real.shape, latent.shape, mixing.shape) == ((6, 2), (6, 3), (6,))
        return [real, latent, mixing]

    for once, again, other_seed, other_draw in zip(batch(1, 5), batch(1, 5), batch(2, 5), batch(1, 6), strict=True):
        assert torch.equal(once, again)
        assert not torch.equal(once, other_seed)
        assert not torch.equal(once, other_draw)


# -------------------------------------------------------------------------------------------------------------- scores


RING = centres("ring", 8).double()
PLACED: dict[str, tuple[Tensor, dict[str, float]]] = {
    "all modes": (
        RING.repeat(10, 1),
        {"modes": 8, "high_quality": 1, "entropy": math.log(8), "total_variation": 0},
    ),
    "one mode": (
        RING[2].repeat(80, 1),
        {"modes": 1, "high_quality": 1, "entropy": 0, "total_variation": 7 / 8},
    ),
    "far away": (
        FAR.repeat(80, 1),
        {"modes": 0, "high_quality": 0, "entropy": 0, "total_variation": 1},
    ),
    "half of it on two modes": (
        torch.cat([RING[:2].repeat(20, 1), FAR.repeat(40, 1)]),
        {"modes": 2, "high_quality": 0.5, "entropy": math.log(2), "total_variation": 3 / 4},
    ),
    "one of eighty is a tenth of a mode's fair share": (
        torch.cat([RING[0].repeat(79, 1), RING[4:5]]),
        {"modes": 2, "high_quality": 1, "total_variation": 7 / 8 - 1 / 80},
    ),
    "one of 160 is less": (
        torch.cat([RING[0].repeat(159, 1), RING[4:5]]),
        {"modes": 1, "high_quality": 1, "total_variation": 7 / 8 - 1 / 160},
    ),
    "within three deviations": (
        torch.cat([RING * (1 + s * 0.05) for s in (0, 1, -1, 2, -2, 2.9, -2.9, 3.1, -3.1, 5)]),
        {"modes": 8, "high_quality": 0.7, "entropy": math.log(8), "total_variation": 0.3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("placed", PLACED)
def test_samples_placed_by_hand(placed: str) -> None:
    samples, expected = PLACED[placed]
    found = scores(samples)
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, abs=1e-6), metric


@pytest.mark.parametrize("shift", [(0.3, 0.4), (-2.0, 0.0), (0.0, 0.0)])
def test_the_sliced_distance_of_a_shift_is_its_length_over_the_root_of_two(shift: tuple[float, float]) -> None:
    cloud = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    moved = (cloud + torch.tensor(shift))[torch.randperm(50, generator=torch.Generator().manual_seed(2))]
    found = sliced_wasserstein(moved, cloud).item()
    assert found == pytest.approx(math.hypot(*shift) / math.sqrt(2), abs=1e-6)


def test_the_floor_is_the_mean_over_twenty_sets_of_real_samples() -> None:
    task = mixture(scored=200)
    with torch.no_grad():
        ((_, found),) = task.evaluate(0)
    sets = [task._real(generator(0, "scores", 1 + i), 200) for i in range(20)]
    distances = torch.stack([sliced_wasserstein(samples, task._known) for samples in sets])
    assert found["sliced_wasserstein_floor"].item() == pytest.approx(distances.mean().item(), rel=1e-12)


def test_the_floor_of_the_sliced_distance_is_that_of_real_samples() -> None:
    task = mixture(scored=400)
    found = scores(task.real(0).repeat(67, 1)[:400])
    assert 0 < found["sliced_wasserstein_floor"] < 0.15
    far = scores(FAR.repeat(400, 1))
    assert far["sliced_wasserstein_floor"] == found["sliced_wasserstein_floor"]
    assert far["sliced_wasserstein"] > 3


def test_samples_that_are_not_finite_are_scored_without_an_error() -> None:
    samples = RING.repeat(10, 1)
    samples[0, 0], samples[1, 1] = math.nan, math.inf
    found = scores(samples)
    assert math.isnan(found["sliced_wasserstein"])
    assert (found["modes"], found["high_quality"]) == (8, pytest.approx(78 / 80))
    assert drawn(samples.numpy(), RING.numpy(), 0.05).shape == (SIDE, SIDE, 3)


def test_a_run_that_diverges_says_at_which_step(tmp_path: Path) -> None:
    result = run([
        "dataset=gaussians_gan", "scale=smoke", "optimizer=sgd", "optimizer.lr=1e30", "dataset.loss=wasserstein",
        "tracker=none", f"results_dir={tmp_path}",
    ])  # fmt: skip
    assert result.status == "diverged"
    last = [row for row in rows(result.path) if row["split"] == "train"][-1]
    assert 1 < result.record["step"] == last["step"] < 20


# ------------------------------------------------------------------------------------------------------------ pictures


def test_a_dot_lies_where_its_sample_does() -> None:
    modes = np.array([[10.0, 10.0]])  # far outside: the paper is white
    reach = 4 / 3 * (1 + 2 * 0.05)
    samples = np.array([[0.5 * reach, 0.25 * reach], [5.0, 0.0]])  # three quarters to the right, three eighths down
    picture = drawn(samples, modes, 0.05)
    rows_, columns = (picture == (200, 60, 0)).all(2).nonzero()
    assert sorted({*columns.tolist()}) == [165]
    assert sorted({*rows_.tolist()}) == [82]
    assert (np.delete(picture.reshape(-1, 3), rows_ * SIDE + columns, axis=0) == 255).all()


def test_the_density_is_darkest_at_the_modes() -> None:
    picture = drawn(np.empty((0, 2)), np.array([[0.0, 0.0]]), 0.05).astype(int).sum(2)
    row, column = np.unravel_index(picture.argmin(), picture.shape)
    assert {row, column} <= {SIDE // 2 - 1, SIDE // 2}
    assert picture[0, 0] == 3 * 255

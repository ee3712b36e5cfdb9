"""A GAN on a mixture of Gaussians in the plane, where the density is known and the modes found are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.seeds import generator
from lookahead_bench.tasks.base import Picture, Rows, Scores
from lookahead_bench.tasks.gan import GAN

NEAR = 3.0  # standard deviations around a mode that its samples lie in
FOUND = 0.1  # of its fair share of all samples is what a mode needs near it to count as found
DIRECTIONS = 32  # of the sliced distance
FLOORS = 20  # sets of real samples that the floor is the mean of
SIDE = 220  # pixels of a picture; a sample is one of them


class GaussiansGAN(GAN):
    """Generate samples of an equal mixture of Gaussians in the plane.

    layout       ring: `modes` centres on a circle of radius 1; grid: a square of `modes` centres, from -1 to 1
    modes        how many; a square number for the grid
    sigma        standard deviation of each, in both coordinates
    scored       how many samples a score is made from
    model        makes the networks, see `GAN`, where the rest stands too

    Scores ("test"): sliced_wasserstein, the 2-Wasserstein distance of projections, root mean square over directions, to
    as many real samples, equally many a mode (sliced_wasserstein_floor: of real ones drawn as in training, the mean of
    20 sets); modes found; high_quality, the share of samples within three sigma of a centre; entropy (nats) of these
    samples' modes; total_variation of all samples' modes to the equal mixture, far ones a mode of their own.
    Source of ring, grid and the three-sigma rule: Srivastava et al. 2017 (arXiv 1705.07761).
    """

    def __init__(
        self, *, layout: str, modes: int, sigma: float, scored: int, model: Callable[..., nn.Module],
        seeds: Sequence[int], **game: Any,
    ) -> None:  # fmt: skip
        super().__init__(pair=model, shape=(2,), seeds=seeds, **game)
        self.sigma, self.scored = sigma, scored
        self.centres = centres(layout, modes).to(self.settings.device, self.dtype)
        equal = torch.arange(scored) % modes
        self._known = self._around(equal, generator(0, "scores", 0))
        others = [self._real(generator(0, "scores", 1 + i), scored) for i in range(FLOORS)]
        self._floor = torch.stack([sliced_wasserstein(other, self._known) for other in others]).mean()

    def real(self, draw: int) -> Tensor:
        rows = [self._real(generator(seed, "data", draw), self.batch_size) for seed in self.seeds]
        return rows[0] if self.replicas == 1 else torch.stack(rows)

    def _real(self, random: torch.Generator, count: int) -> Tensor:
        return self._around(torch.randint(len(self.centres), (count,), generator=random), random)

    def _around(self, which: Tensor, random: torch.Generator) -> Tensor:
        """A sample of each of these modes, [N] -> [N, 2]."""
        noise = torch.randn(len(which), 2, generator=random)
        return self.centres[which.to(self.centres.device)] + self.sigma * noise.to(self.centres)

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        samples = torch.cat(list(self.generated(self.scored)), dim=-2).float()
        each = [self._scores(one) for one in (samples if self.replicas > 1 else samples.unsqueeze(0))]
        stacked = {metric: torch.stack([one[metric] for one in each]) for metric in each[0]}
        yield "test", stacked if self.replicas > 1 else {metric: values[0] for metric, values in stacked.items()}

    def _scores(self, samples: Tensor) -> Scores:
        distance, nearest = torch.cdist(samples, self.centres.float()).min(1)
        count = len(self.centres)
        near = distance <= NEAR * self.sigma
        share = torch.bincount(nearest[near], minlength=count).double() / len(samples)
        inside = near.double().mean()
        among = share / inside.clamp(min=1e-300)
        return {
            "sliced_wasserstein": sliced_wasserstein(samples, self._known),
            "sliced_wasserstein_floor": self._floor,
            "modes": (share >= FOUND / count).sum().double(),
            "high_quality": inside,
            "entropy": (among * among.clamp(min=1e-300).log()).sum().abs(),
            "total_variation": ((share - 1 / count).abs().sum() + 1 - inside) / 2,
        }

    def pictures(self, position: Mapping[str, Any], final: bool, rows: Rows) -> Iterable[tuple[str, Picture]]:
        """Samples of the same noise at every evaluation, over the density."""
        with torch.no_grad():
            samples = torch.cat(list(self.generated(self.scored)), dim=-2).float().cpu().numpy()
        yield f"{position['weights']}-{position['step']:08d}", drawn(samples, self.centres.cpu().numpy(), self.sigma)


def centres(layout: str, modes: int) -> Tensor:
    """[modes, 2]; the ring begins on the right and goes round against the clock."""
    if layout == "ring":
        angle = torch.arange(modes) * (2 * math.pi / modes)
        return torch.stack([angle.cos(), angle.sin()], dim=1)
    line = torch.linspace(-1, 1, math.isqrt(modes)) if modes > 1 else torch.zeros(1)
    return torch.cartesian_prod(line, line)


def sliced_wasserstein(samples: Tensor, real: Tensor) -> Tensor:
    """sqrt of the mean over DIRECTIONS of W2^2 between the projections of as many samples as real ones, [N, 2] each."""
    if not bool(samples.isfinite().all()):
        return torch.tensor(math.nan, dtype=torch.float64, device=samples.device)
    angle = torch.arange(DIRECTIONS, device=samples.device) * (math.pi / DIRECTIONS)
    axes = torch.stack([angle.cos(), angle.sin()]).double()
    ours, theirs = ((one.double() @ axes).sort(0).values for one in (samples, real))
    return (ours - theirs).square().mean().sqrt()


def drawn(samples: np.ndarray[Any, Any], modes: np.ndarray[Any, Any], sigma: float) -> Picture:
    """Dots over the density in a square of a third more than the modes reach; samples outside are left out."""
    reach = 4 / 3 * (1 + 2 * sigma)
    line = (np.arange(SIDE) + 0.5) / SIDE * 2 * reach - reach
    x, y = np.meshgrid(line, -line)
    blur = max(sigma, reach / SIDE)  # a mode is at least a pixel
    density = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * blur**2)) for a, b in modes)
    shade = np.minimum(density, 1.0)[..., None] * (1 - np.array([0.25, 0.55, 1.0]))  # white to blue
    picture: Picture = (255 * (1 - shade)).astype(np.uint8)
    column, row = ((1 + samples * (1, -1) / reach) / 2 * SIDE).T
    seen = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    picture[row[seen].astype(int), column[seen].astype(int)] = (200, 60, 0)
    return picture

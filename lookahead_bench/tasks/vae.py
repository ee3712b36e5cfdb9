"""A deep Gaussian VAE: how many latent dimensions survive a given observation noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lookahead_bench.data.fetch import load
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.base import Batch, Scores, Task
from lookahead_bench.tasks.linear_vae import LARGEST


class GaussianVAE(Task):
    """p(x|z) = N(f(z), s2 I), q(z|x) = N(m(x), diag v(x)), f and (m, log v) networks of one hidden layer of `width`.

    data: digits or mnist, pixels in [0, 1]; latent: numbers of z; noise_variance: s2, where learning it starts if
    learn_noise; batch_size. Metrics on the test images: elbo (one sample of z each), active (dimensions whose KL to
    the prior is at least epsilon on more than a fraction delta of the images).
    Source: Lucas, Tucker, Grosse, Norouzi 2019 (arXiv 1911.02469); their architecture was not found, this one is ours.
    """

    def __init__(
        self, *, data: str, data_dir: Path | str, latent: int, width: int, noise_variance: float, learn_noise: bool,
        batch_size: int, epsilon: float, delta: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        arrays = load(data, data_dir)
        self.train_images, self.test_images = (
            torch.from_numpy(arrays[f"{split}_images"]).flatten(1).to(device, dtype) / LARGEST[data]
            for split in ("train", "test")
        )
        (self.seed,) = seeds
        self.latent, self.epsilon, self.delta, self.samples_per_batch = latent, epsilon, delta, batch_size
        pixels = self.train_images.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(self.seed, "init").initial_seed())
            self.encoder = nn.Sequential(nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, 2 * latent))
            self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, pixels))
        self.networks = nn.ModuleList([self.encoder, self.decoder]).to(device, dtype)
        self.log_noise = nn.Parameter(torch.full((1,), math.log(noise_variance), device=device, dtype=dtype))
        noise = [self.log_noise] if learn_noise else []
        self.players = {"model": [*self.networks.parameters(), *noise]}
        self.batches_per_epoch = len(self.train_images) // batch_size

    def batch(self, draw: int) -> Batch:
        """The images of the draw-th batch, every epoch in an order of its own, and the noise of z."""
        epoch, position = divmod(draw, self.batches_per_epoch or 1)
        order = torch.randperm(len(self.train_images), generator=generator(self.seed, "order", epoch))
        rows = order[position * self.samples_per_batch :][: self.samples_per_batch]
        noise = torch.randn(len(rows), self.latent, generator=generator(self.seed, "latent", draw))
        return self.train_images[rows.to(self.train_images.device)], noise.to(self.train_images)

    def losses(self, batch: Batch, players: Sequence[str]) -> dict[str, Tensor]:
        bound, _ = self.bound(*batch)
        return {"model": -bound.mean()}

    def bound(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Each image's ELBO [N] and the KL of each of its latent dimensions to the prior [N, q]."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        kl = (mean.square() + log_variance.exp() - log_variance - 1) / 2
        decoded = self.decoder(mean + noise * (log_variance / 2).exp())
        residual = (images - decoded).square().sum(1) / (2 * self.log_noise.exp())
        constant = images.shape[1] / 2 * (math.log(2 * math.pi) + self.log_noise)
        return -residual - constant - kl.sum(1), kl

    def evaluate(self) -> Iterator[tuple[str, Scores]]:
        noise = torch.randn(len(self.test_images), self.latent, generator=generator(self.seed, "statistics"))
        with torch.no_grad():
            bound, kl = self.bound(self.test_images, noise.to(self.test_images))
        active = ((kl >= self.epsilon).to(bound.dtype).mean(0) > self.delta).sum().to(bound.dtype)
        yield "test", {"elbo": bound.mean(), "active": active, "noise_variance": self.log_noise.detach().exp()[0]}

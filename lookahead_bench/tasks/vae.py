"""A deep Gaussian VAE: how many latent dimensions survive a given observation noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lookahead_bench.data.epochs import Epochs
from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import moved
from lookahead_bench.hardware import Machine
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.base import Batch, Call, Scores
from lookahead_bench.tasks.linear_vae import LARGEST, collapse, collapse_thresholds
from lookahead_bench.tasks.network import NetworkTask, multiply_adds

PLAYER = "model"


class VAE(nn.Module):
    """p(x|z) = N(f(z), s2 I), q(z|x) = N(m(x), diag v(x)), f and (m, log v) networks of one hidden layer of `width`.

    noise_variance: s2, a parameter that is frozen unless learn_noise.
    """

    def __init__(self, pixels: int, latent: int, width: int, noise_variance: float, learn_noise: bool) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, pixels))
        self.log_noise = nn.Parameter(
            torch.full((1,), math.log(noise_variance), dtype=torch.float64), requires_grad=learn_noise
        )

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Each image's ELBO [N], with one sample of z, and the KL of its latent dimensions to the prior [N, q]."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        kl = (mean.square() + log_variance.exp() - log_variance - 1) / 2
        decoded = self.decoder(mean + noise * (log_variance / 2).exp())
        residual = (images - decoded).square().sum(1) / (2 * self.log_noise.exp())
        constant = images.shape[1] / 2 * (math.log(2 * math.pi) + self.log_noise)
        return -residual - constant - kl.sum(1), kl


class GaussianVAE(NetworkTask):
    """Maximise the ELBO of a `VAE` on images, with one sample of z each.

    data: digits or mnist, pixels in [0, 1]; latent: numbers of z; width, noise_variance, learn_noise: see `VAE`;
    batch_size: at most the training images; seeds (one), dtype, machine: see `NetworkTask`. Metrics on the test images:
    elbo, noise_variance, active and kl_1, kl_2, ...: see `LinearVAE`.
    Errors: DataError where there is no data, ConfigError where a batch is larger than the data.
    Source: Lucas, Tucker, Grosse, Norouzi 2019 (arXiv 1911.02469); their architecture was not found, this one is ours.
    """

    batch_dim = 0
    fused = False  # as its stored numbers were computed

    def __init__(
        self, *, data: str, data_dir: Path | str, latent: int, width: int, noise_variance: float, learn_noise: bool,
        batch_size: int, epsilon: float, delta: float, seeds: Sequence[int], dtype: torch.dtype, machine: Machine,
    ) -> None:  # fmt: skip
        arrays = load(data, data_dir)
        self.train_images, self.test_images = (
            torch.from_numpy(arrays[f"{split}_images"]).flatten(1).to(machine.device, dtype) / LARGEST[data]
            for split in ("train", "test")
        )
        (self.seed,) = seeds
        self.latent, self.epsilon, self.delta = latent, epsilon, delta
        pixels = self.train_images.shape[1]
        one = torch.zeros(1, pixels), torch.zeros(1, latent)
        super().__init__(
            lambda: {PLAYER: VAE(pixels, latent, width, noise_variance, learn_noise)},
            lambda networks: batch_size * multiply_adds(networks[PLAYER], *one),
            seeds=seeds, dtype=dtype, machine=machine,
        )  # fmt: skip
        self._epochs = Epochs(len(self.train_images), batch_size, seeds)
        self.samples_per_batch, self.batches_per_epoch = batch_size, self._epochs.batches

    def batch(self, draw: int) -> Batch:
        """The images of the draw-th batch, every epoch in an order of its own, and the noise of z."""
        rows = self._epochs.rows(draw)
        noise = torch.randn(len(rows), self.latent, generator=generator(self.seed, "latent", draw))
        device, dtype = self.train_images.device, self.train_images.dtype
        return self.train_images[moved(rows, device)], moved(noise.to(dtype), device)

    def network_losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        bound, _ = self.training_forward[PLAYER](*batch)
        return {PLAYER: -bound.mean()}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        noise = torch.randn(len(self.test_images), self.latent, generator=generator(self.seed, "statistics"))
        with torch.no_grad():
            bound, kl = self.forward[PLAYER](self.test_images, noise.to(self.test_images))
        noise_variance = self.networks[PLAYER].get_parameter("log_noise").detach().exp()[0]
        scores = collapse(collapse_thresholds(kl, self.delta), self.epsilon)
        yield "test", {"elbo": bound.mean(), "noise_variance": noise_variance} | scores

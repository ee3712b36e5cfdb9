"""The linear VAE, whose best ELBO is known exactly: the maximum likelihood of probabilistic PCA."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.data.fetch import load
from lookahead_bench.tasks.base import Batch, Call, Scores, Task
from lookahead_bench.tasks.noise import Array, rng
from lookahead_bench.theory.ppca import ppca_optimum

LARGEST = {"digits": 16.0, "mnist": 255.0}  # pixel values are divided by it


class LinearVAE(Task):
    """p(x|z) = N(W z + mu, s2 I), q(z|x) = N(V (x - mu), D): maximise the ELBO; mu is the sample mean, which is best.

    With C the sample covariance, the mean ELBO over the data is analytic,

        (2 tr W V C - tr W D W^T - tr W V C V^T W^T - tr C) / (2 s2) - d/2 log 2 pi s2
        + (log det D - tr V C V^T - tr D + q) / 2

    W and V are held in the basis of the principal components, where C is diagonal: the same model and the same ELBO.

    data: digits or mnist (training images, pixels in [0, 1]); latent: q < d; noise_variance: s2, where learning it
    starts if learn_noise; stochastic: train on batches of batch_size images with one sample of z each instead.
    Metrics: elbo, gap = pPCA's optimum - elbo >= 0, active (latent dimensions that are not collapsed: the KL to the
    prior is at least epsilon on more than a fraction delta of the images), kl_1, kl_2, ... (the epsilon at which each
    of them would be), ppca_active, noise_variance.
    Source: Lucas, Tucker, Grosse, Norouzi 2019 (arXiv 1911.02469).
    """

    every_step = True

    def __init__(
        self, *, data: str, data_dir: Path | str, latent: int, noise_variance: float, learn_noise: bool,
        stochastic: bool, batch_size: int, epsilon: float, delta: float, seeds: Sequence[int], dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:  # fmt: skip
        images, eigenvalues = principal_components(data, str(data_dir))
        best = None if learn_noise else noise_variance
        self.optimum, self.ppca_active, _ = ppca_optimum(eigenvalues, latent, best)
        self.images = torch.from_numpy(images).to(device, dtype)
        self.variances = torch.from_numpy(eigenvalues).to(device, dtype)
        self.replicas, self.seeds, self.stochastic, self.batch_size = len(seeds), list(seeds), stochastic, batch_size
        self.samples_per_batch = batch_size if stochastic else len(images)
        self.epsilon, self.delta, self.learn_noise = epsilon, delta, learn_noise
        d = images.shape[1]
        first = [rng(seed, "init").standard_normal((2, d, latent)) / math.sqrt(d) for seed in seeds]
        start = {
            "decoder": np.stack([w for w, _ in first]),
            "encoder": np.stack([v.T for _, v in first]),
            "log_variance": np.zeros((len(seeds), latent)),
            "log_noise": np.full((len(seeds), 1), math.log(noise_variance)),
        }
        self.parameters = {
            name: nn.Parameter(torch.from_numpy(value if len(seeds) > 1 else value[0]).to(device, dtype))
            for name, value in start.items()
        }
        trained = [p for name, p in self.parameters.items() if learn_noise or name != "log_noise"]
        self.players = {"model": trained}

    def batch(self, draw: int) -> Batch:
        """Images and noise of every replica, [(R,) B, d] and [(R,) B, q]; None where the ELBO is analytic."""
        if not self.stochastic:
            return None
        drawn = [rng(seed, "order", draw) for seed in self.seeds]
        latent = self.parameters["log_variance"].shape[-1]
        rows = np.stack([g.integers(len(self.images), size=self.batch_size) for g in drawn])
        noise = np.stack([g.standard_normal((self.batch_size, latent)) for g in drawn])
        images = self.images[torch.from_numpy(rows).to(self.images.device)]
        batch = images, torch.from_numpy(noise).to(images)
        return batch if self.replicas > 1 else tuple(part[0] for part in batch)

    def losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        return {"model": -(self.elbo() if batch is None else self.sampled_elbo(*batch))}

    def elbo(self) -> Tensor:
        """The analytic ELBO, mean over all images, shape [] or [R]."""
        W, V, log_variance, log_noise = self.parameters.values()
        variance = log_variance.exp()
        VC = V * self.variances
        codes = VC @ V.mT  # the covariance of the codes V (x - mu)
        explained = codes.diagonal(dim1=-2, dim2=-1).sum(-1)
        residual = self.variances.sum() - 2 * (W * VC.mT).sum((-2, -1)) + ((W.mT @ W) * codes).sum((-2, -1))
        spread = (W * W * variance.unsqueeze(-2)).sum((-2, -1))
        return self._bound(residual + spread, explained, log_variance, log_noise)

    def sampled_elbo(self, images: Tensor, noise: Tensor) -> Tensor:
        """One sample of z for each image of the batch."""
        W, V, log_variance, log_noise = self.parameters.values()
        mean = images @ V.mT
        z = mean + noise * (log_variance / 2).exp().unsqueeze(-2)
        residual = (images - z @ W.mT).square().sum(-1).mean(-1)
        return self._bound(residual, mean.square().sum(-1).mean(-1), log_variance, log_noise)

    def _bound(self, residual: Tensor, explained: Tensor, log_variance: Tensor, log_noise: Tensor) -> Tensor:
        d, log_s2 = len(self.variances), log_noise.squeeze(-1)
        reconstruction = -residual / (2 * log_s2.exp()) - d / 2 * (math.log(2 * math.pi) + log_s2)
        return reconstruction + (log_variance - log_variance.exp() + 1).sum(-1) / 2 - explained / 2

    @torch.no_grad()
    def train_metrics(self, draws: int) -> Scores:
        elbo = self.elbo()
        return {"elbo": elbo, "gap": self.optimum - elbo}

    @torch.no_grad()
    def thresholds(self) -> Tensor:
        """Of every latent dimension the epsilon from which on it is collapsed, [(R,) q]."""
        _, V, log_variance, _ = self.parameters.values()
        constant = (log_variance.exp() - 1 - log_variance) / 2
        means = self.images @ V.mT
        return collapse_thresholds(means.square() / 2 + constant.unsqueeze(-2), self.delta)

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        fixed = torch.full_like(self.parameters["log_noise"].squeeze(-1), self.ppca_active)
        noise = self.parameters["log_noise"].detach().exp().squeeze(-1)
        metrics = {"ppca_active": fixed, "noise_variance": noise}
        yield "val", self.train_metrics(draws) | collapse(self.thresholds(), self.epsilon) | metrics


def collapse_thresholds(kl: Tensor, delta: float) -> Tensor:
    """The largest epsilon at which a dimension is not (epsilon, delta)-collapsed, [..., q] of its KLs [..., images, q].

    That is while its KL is at least epsilon on more than a fraction delta of the images.
    """
    images = kl.shape[-2]
    return kl.kthvalue(images - math.floor(delta * images), dim=-2).values


def collapse(thresholds: Tensor, epsilon: float) -> Scores:
    """How many dimensions are not collapsed, and every dimension's threshold, the largest first: kl_1, kl_2, ..."""
    ordered = thresholds.sort(dim=-1, descending=True).values
    active = (thresholds >= epsilon).sum(-1).to(thresholds.dtype)
    return {"active": active} | {f"kl_{i}": value for i, value in enumerate(ordered.unbind(-1), start=1)}


@functools.lru_cache(maxsize=1)  # the runs of a study share it
def principal_components(data: str, data_dir: str) -> tuple[Array, Array]:
    """The images in the basis of their covariance's eigenvectors, and its eigenvalues, the smallest first."""
    images = centred(data, data_dir)
    eigenvalues, axes = np.linalg.eigh(images.T @ images / len(images))
    return images @ axes, eigenvalues


def centred(data: str, data_dir: Path | str) -> Array:
    """The training images as float64 rows in [0, 1] less their mean."""
    images = load(data, data_dir)["train_images"]
    flat = images.reshape(len(images), -1) / LARGEST[data]
    return np.asarray(flat - flat.mean(0))

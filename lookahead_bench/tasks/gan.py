"""What every GAN shares: a discriminator and a generator, noise, real samples, and the losses of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lookahead_bench.data.images import moved
from lookahead_bench.hardware import Machine
from lookahead_bench.seeds import derive, generator
from lookahead_bench.tasks.base import Call
from lookahead_bench.tasks.network import NetworkTask, multiply_adds

DISCRIMINATOR, GENERATOR = "discriminator", "generator"
STATISTICS_BATCHES = 50  # of noise, that the generator's BatchNorm statistics are estimated from
AT_ONCE = 500  # samples of a forward pass of the evaluation


class Loss(NamedTuple):
    """discriminator: of its logits on real and on generated samples; generator: of the discriminator's on its own."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES = {
    # -log D(x) - log(1 - D(G(z))) and -log D(G(z)), with D = sigmoid(logit)
    "non_saturating": Loss(lambda real, fake: F.softplus(-real) + F.softplus(fake), lambda fake: F.softplus(-fake)),
    "hinge": Loss(lambda real, fake: F.relu(1 - real) + F.relu(1 + fake), lambda fake: -fake),
    "wasserstein": Loss(lambda real, fake: fake - real, lambda fake: -fake),
}


class Batch(NamedTuple):
    """Samples and noise, [B, ...] or with replicas [R, B, ...]; mixing [.., B]: for the gradient penalty, in [0, 1]."""

    real: Tensor
    latent: Tensor
    mixing: Tensor | None


class GAN(NetworkTask):
    """Two players, each with a loss of its own on the same batch; a subclass says what is real, and what is scored.

    pair               makes the networks, a `lookahead_bench.models.gan.Pair`, of shape and latent
    shape              of a sample
    latent             independent normal numbers that a sample is made from
    loss               non_saturating, hinge or wasserstein
    gradient_penalty   coefficient of (|dD/dx| - 1)^2 at points between real and generated samples (Gulrajani et al.
                       2017); 0: none
    batch_size         real samples, and generated ones, of one evaluation of one replica
    seeds, dtype, machine   see `NetworkTask`

    Whoever moves, generated samples are made with batch statistics. With both players in one call the generated samples
    and the discriminator's logits on them are computed once. The discriminator's loss is none of the generator's
    business: its gradient is with respect to the discriminator alone, and the other way round.
    """

    network_arguments: ClassVar = ("shape", "latent")
    batch_dim = 0
    latent: int

    def __init__(
        self, *, pair: Callable[..., nn.Module], shape: Sequence[int], latent: int, loss: str, gradient_penalty: float,
        batch_size: int, seeds: Sequence[int], dtype: torch.dtype, machine: Machine,
    ) -> None:  # fmt: skip
        def make() -> dict[str, nn.Module]:
            networks = pair(shape=shape, latent=latent)
            return {player: networks.get_submodule(player) for player in (DISCRIMINATOR, GENERATOR)}

        def work(networks: dict[str, nn.Module]) -> float:
            made = multiply_adds(networks[GENERATOR], torch.zeros(1, latent))
            return batch_size * (made + 2 * multiply_adds(networks[DISCRIMINATOR], torch.zeros(1, *shape)))

        super().__init__(make, work, seeds=seeds, dtype=dtype, machine=machine)
        self.seeds, self.dtype = tuple(seeds), dtype
        self.latent, self.loss, self.penalty = latent, LOSSES[loss], gradient_penalty
        self.batch_size = self.samples_per_batch = batch_size

    def real(self, draw: int) -> Tensor:
        """The real samples of the draw-th batch, [B, *shape] or [R, B, *shape]."""
        raise NotImplementedError

    def batch(self, draw: int) -> Batch:
        latent = self.drawn(torch.randn, "latent", draw, self.batch_size, self.latent)
        mixing = self.drawn(torch.rand, "noise", draw, self.batch_size) if self.penalty else None
        return Batch(self.real(draw), latent, mixing)

    def drawn(self, sampler: Callable[..., Tensor], purpose: str, draw: int, *size: int) -> Tensor:
        """Random numbers of a size, of every replica's own stream."""
        rows = [sampler(*size, generator=generator(seed, purpose, draw)) for seed in self.seeds]
        numbers = rows[0] if self.replicas == 1 else torch.stack(rows)
        return moved(numbers.to(self.dtype), self.settings.device)

    def network_losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        judge = self.training_forward[DISCRIMINATOR]
        losses = {}
        with parametrize.cached():  # spectral norm: one power iteration an evaluation
            with torch.set_grad_enabled(GENERATOR in call.players):
                fake = self.training_forward[GENERATOR](batch.latent)
            on_fake = wide(judge(fake))
            if DISCRIMINATOR in call.players:
                loss = self.loss.discriminator(wide(judge(batch.real)), on_fake)
                if batch.mixing is not None:
                    loss = loss + self.penalty * self._steepness(batch.real, fake.detach(), batch.mixing)
                losses[DISCRIMINATOR] = loss.mean(-1)
            if GENERATOR in call.players:
                losses[GENERATOR] = self.loss.generator(on_fake).mean(-1)
        return {player: losses[player] for player in call.players}

    def _steepness(self, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
        """(|dD/dx| - 1)^2 at x = mixing real + (1 - mixing) fake, for every sample."""
        between = torch.lerp(fake.to(real.dtype), real, mixing.view(*mixing.shape, *[1] * (real.dim() - mixing.dim())))
        between.requires_grad_()
        logits = wide(self.forward[DISCRIMINATOR](between))
        slope: Tensor = torch.autograd.grad(logits.sum(), between, create_graph=True)[0]
        steepness: Tensor = torch.linalg.vector_norm(slope.flatten(mixing.dim()), dim=-1)
        return (steepness - 1).square()

    def statistics_passes(self) -> None:
        """Of the generator alone: only it is scored."""
        for draw in range(STATISTICS_BATCHES):
            noise = generator(derive(self.seeds[0], "statistics"), "latent", draw)
            latent = torch.randn(self.batch_size, self.latent, generator=noise)
            self.forward[GENERATOR](moved(latent.to(self.dtype), self.settings.device))

    def generated(self, count: int, stream: int = 0) -> Iterator[Tensor]:
        """For scoring: `count` samples of every replica, in parts, always from the same noise."""
        for part, size in enumerate(size_of_parts(count)):
            yield self.forward[GENERATOR](self.drawn(torch.randn, "scores", (stream << 32) + part, size, self.latent))


def wide(logits: Tensor) -> Tensor:
    """In at least float32."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def size_of_parts(count: int) -> list[int]:
    return [min(AT_ONCE, count - start) for start in range(0, count, AT_ONCE)]

"""Small GANs for tests, and the same training written down by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tiny_runs import machine
from torch import Tensor, nn
from torch.nn import functional as F

from lookahead_bench import configuration
from lookahead_bench.build import model_of, resolve
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.gan import DISCRIMINATOR, GAN, GENERATOR
from lookahead_bench.tasks.gaussians_gan import GaussiansGAN
from lookahead_bench.trainer import Trainer

PERCEPTRONS = {"_target_": "lookahead_bench.models.gan.MLPPair", "hidden": [8], "squash": False}
SETTINGS: dict[str, Any] = {
    "latent": 3, "loss": "non_saturating", "gradient_penalty": 0.0, "batch_size": 6, "seeds": [1],
    "dtype": torch.float64,
}  # fmt: skip


def mixture(**changed: Any) -> GaussiansGAN:
    """On a ring of eight Gaussians."""
    own = {"layout": "ring", "modes": 8, "sigma": 0.05, "scored": 80}
    return GaussiansGAN(model=model_of(PERCEPTRONS), machine=machine(), **own | SETTINGS | changed)


class Snow(GAN):
    """Images of noise, for networks that need images."""

    def __init__(self, pair: Callable[..., nn.Module], shape: Sequence[int], **changed: Any) -> None:
        self.shape = tuple(shape)
        super().__init__(pair=pair, shape=shape, machine=machine(), **SETTINGS | changed)

    def real(self, draw: int) -> Tensor:
        return torch.randn(self.batch_size, *self.shape, generator=generator(1, "data", draw)).to(self.dtype)


def trainer(place: Path, *overrides: str) -> Trainer:
    """A run's trainer, at its start."""
    settings = configuration.load(["tracker=none", f"results_dir={place}", *overrides])
    return Session(resolve(settings), [(RunDirectory(one), None) for one in settings.seeds()]).build()


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


# name -> the discriminator's loss of its logits on real and on generated samples, the generator's of the latter
BY_HAND: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non_saturating": (lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0), lambda f: cross_entropy(f, 1.0)),
    "hinge": (lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(), lambda f: -f.mean()),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
}


def gradients_by_hand(
    task: GAN, player: str, draw: int, loss: str, penalty: float = 0.0
) -> tuple[Tensor, list[Tensor]]:
    """A player's loss and its gradient, at the task's weights."""
    real, latent, mixing = task.batch(draw)
    judge, make = task.networks[DISCRIMINATOR], task.networks[GENERATOR]
    of_discriminator, of_generator = BY_HAND[loss]
    if player == GENERATOR:
        value = of_generator(judge(make(latent)))
    else:
        fake = make(latent).detach()
        value = of_discriminator(judge(real), judge(fake))
        if mixing is not None:
            mixing = mixing.view(-1, *[1] * (real.dim() - 1))
            between = (mixing * real + (1 - mixing) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
            value = value + penalty * (slope.square().flatten(1).sum(1).sqrt() - 1).square().mean()
    return value.detach(), list(torch.autograd.grad(value, task.players[player]))


def alternating_adam_with_syncs(
    task: GAN, lr: float, betas: tuple[float, float], k: Sequence[int], alpha: float, decay: float
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """After every round: the weights, and their exponential average, which meets every round's weights before a sync.

    k: of each layer of Lookahead, innermost first. The discriminator moves first; every gradient has its own draw.
    """
    every = [p for params in task.players.values() for p in params]
    adams = {player: torch.optim.Adam(params, lr=lr, betas=betas) for player, params in task.players.items()}
    slow = [[p.detach().clone() for p in every] for _ in k]
    average = [p.detach().clone() for p in every]
    draw = rounds = 0
    while True:
        for player, adam in adams.items():
            _, gradients = gradients_by_hand(task, player, draw, "non_saturating")
            for p, g in zip(task.players[player], gradients, strict=True):
                p.grad = g
            adam.step()
            draw += 1
        rounds += 1
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, every, strict=True)]
        period = 1
        for layer, steps in enumerate(k):
            period *= steps
            if rounds % period == 0:
                with torch.no_grad():
                    for i, p in enumerate(every):
                        p.copy_(slow[layer][i] + alpha * (p - slow[layer][i]))
                        for inner in slow[: layer + 1]:
                            inner[i].copy_(p)
        yield [p.detach().clone() for p in every], average

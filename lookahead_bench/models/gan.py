"""Pairs of networks that play a GAN: `generator` (noise -> sample) and `discriminator` (sample -> logit)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class Pair(nn.Module):
    """A generator, noise [B, latent] -> samples [B, *shape], and a discriminator, samples -> logits [B]."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator


class MLPPair(Pair):
    """Two multilayer perceptrons without buffers: ReLU in the generator, leaky ReLU (0.2) in the discriminator.

    shape: of a sample; latent: numbers of its noise; hidden: widths of the hidden layers of both, innermost first;
    squash: tanh at the generator's end.
    """

    def __init__(self, *, shape: Sequence[int], latent: int, hidden: Sequence[int], squash: bool) -> None:
        numbers = math.prod(shape)
        end = [nn.Tanh()] if squash else []
        generator = [*_perceptron([latent, *hidden, numbers], nn.ReLU), *end, nn.Unflatten(1, tuple(shape))]
        discriminator = [nn.Flatten(), *_perceptron([numbers, *hidden, 1], _leaky), nn.Flatten(0)]
        super().__init__(nn.Sequential(*generator), nn.Sequential(*discriminator))


class DCGAN(Pair):
    """The networks of Lookahead-Minmax 2021 for 28x28 images: four convolutions each, BatchNorm, no biases.

    shape: (C, 28, 28); latent: numbers of the noise; width: channels of the discriminator's first layer, an eighth of
    the generator's (64 in the paper). The generator ends in tanh. Weights are torch's own at first. Errors: ValueError
    for another shape.
    """

    def __init__(self, *, shape: Sequence[int], latent: int, width: int) -> None:
        channels = _channels(shape, 28)
        generator: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
        maps = [latent, 8 * width, 4 * width, 2 * width]
        for (inputs, outputs), (kernel, stride, pad) in zip(
            pairwise(maps), [(3, 1, 0), (4, 2, 1), (4, 2, 0)], strict=True
        ):
            up = nn.ConvTranspose2d(inputs, outputs, kernel, stride, pad, bias=False)
            generator += [up, nn.BatchNorm2d(outputs), nn.ReLU()]
        generator += [nn.ConvTranspose2d(2 * width, channels, 4, 2, 1, bias=False), nn.Tanh()]
        discriminator: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), _leaky()]
        for factor in (1, 2):
            down = nn.Conv2d(factor * width, 2 * factor * width, 4, 2, 1, bias=False)
            discriminator += [down, nn.BatchNorm2d(2 * factor * width), _leaky()]
        discriminator += [nn.Conv2d(4 * width, 1, 3, 1, 0, bias=False), nn.Flatten(0)]
        super().__init__(nn.Sequential(*generator), nn.Sequential(*discriminator))


class ResNetPair(Pair):
    """The networks of RAPP 2023 for 32x32 images: residual blocks, BatchNorm in the generator, spectral norm in the
    discriminator (Miyato et al. 2018, table 4).

    shape: (C, 32, 32); latent: numbers of the noise; generator_width, discriminator_width: channels (256 and 128 in the
    paper). The generator ends in tanh. Convolutions begin uniform (Glorot), as in the reference code of spectral norm.
    Errors: ValueError for another shape.
    """

    def __init__(self, *, shape: Sequence[int], latent: int, generator_width: int, discriminator_width: int) -> None:
        channels, wide, deep = _channels(shape, 32), generator_width, discriminator_width
        generator = nn.Sequential(
            nn.Linear(latent, 16 * wide), nn.Unflatten(1, (wide, 4, 4)), *(Up(wide) for _ in range(3)),
            nn.BatchNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, channels, 3, padding=1), nn.Tanh(),
        )  # fmt: skip
        discriminator = nn.Sequential(
            Down(channels, deep, halve=True, first=True), Down(deep, deep, halve=True),
            Down(deep, deep), Down(deep, deep),
            nn.ReLU(), Total(), nn.Linear(deep, 1), nn.Flatten(0),
        )  # fmt: skip
        for module in [*generator.modules(), *discriminator.modules()]:
            if isinstance(module, nn.Conv2d | nn.Linear):
                shortcut = isinstance(module, nn.Linear) or module.kernel_size == (1, 1)
                nn.init.xavier_uniform_(module.weight, 1.0 if shortcut else math.sqrt(2))
                assert module.bias is not None  # these layers have one
                nn.init.zeros_(module.bias)
        for module in discriminator.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)
        super().__init__(generator, discriminator)


class Up(nn.Module):
    """x' + conv3(relu(BN(conv3(x'')))), with x' = conv1(x doubled in size) and x'' = relu(BN(x)) doubled in size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.interpolate(torch.relu(self.bn1(x)), scale_factor=2))
        out = self.conv2(torch.relu(self.bn2(out)))
        # A convolution of 1x1 and copying each pixel commute: the small image is convolved.
        doubled: Tensor = out + F.interpolate(self.shortcut(x), scale_factor=2)
        return doubled


class Down(nn.Module):
    """x' + conv3(relu(conv3(relu(x)))), both halved in size by means of 2x2 where asked.

    x' = conv1(x), or x itself where nothing changes; the first block of all takes x without its ReLU.
    """

    def __init__(self, inputs: int, outputs: int, *, halve: bool = False, first: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if halve or inputs != outputs else nn.Identity()
        self.halve, self.first = halve, first

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(torch.relu(self.conv1(x if self.first else torch.relu(x))))
        if self.halve:
            out, x = F.avg_pool2d(out, 2), F.avg_pool2d(x, 2)
        shortcut: Tensor = self.shortcut(x)
        return out + shortcut


class Total(nn.Module):
    """[B, C, H, W] -> [B, C]: the sum over all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


def _channels(shape: Sequence[int], side: int) -> int:
    if len(shape) != 3 or tuple(shape[1:]) != (side, side):
        raise ValueError(f"a sample must be an image of {side}x{side} pixels, (C, {side}, {side}), got {tuple(shape)}")
    return shape[0]


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def _perceptron(widths: Sequence[int], activation: Callable[[], nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return layers[:-1]

"""The pairs of networks: sizes, shapes, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F

from lookahead_bench.build import model_of
from lookahead_bench.models.gan import DCGAN, Down, MLPPair, Pair, ResNetPair, Total, Up

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
SHAPES = {"mlp_gan": (1, 8, 8), "dcgan16": (1, 28, 28), "dcgan": (1, 28, 28), "resnet_gan32": (3, 32, 32),
          "resnet_gan": (3, 32, 32)}  # fmt: skip
NODES: dict[str, dict[str, Any]] = {name: yaml.safe_load((CONF / f"{name}.yaml").read_text()) for name in SHAPES}
NODES["mlp_gan"] |= {"squash": True, "hidden": [128, 128]}  # which the task's YAML decides


def build(name: str) -> Pair:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = model_of(NODES[name])(shape=SHAPES[name], latent=7)
    assert isinstance(network, Pair)
    return network


@pytest.mark.parametrize("name", ["mlp_gan", "dcgan16", "resnet_gan32"])
def test_shapes_ranges_and_gradients(name: str) -> None:
    pair = build(name)
    samples = pair.generator(torch.randn(3, 7))
    assert samples.shape == (3, *SHAPES[name])
    assert samples.abs().max() < 1
    logits = pair.discriminator(samples)
    assert logits.shape == (3,)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in pair.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_the_yaml_says_what_is_in_the_network(name: str) -> None:
    assert NODES[name]["name"] == name
    has = any(isinstance(module, nn.BatchNorm2d) for module in build(name).modules())
    assert NODES[name]["about"]["batchnorm"] is has
    assert has or not list(build(name).buffers())


def test_sizes_of_the_papers_networks() -> None:
    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    dcgan = DCGAN(shape=(1, 28, 28), latent=128, width=64)
    assert count(dcgan.generator) == (
        128 * 512 * 9 + 512 * 256 * 16 + 256 * 128 * 16 + 128 * 16 + 2 * (512 + 256 + 128)
    )  # fmt: skip
    assert count(dcgan.discriminator) == 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 9 + 2 * (128 + 256)
    residual = ResNetPair(shape=(3, 32, 32), latent=128, generator_width=256, discriminator_width=128)
    up = 2 * (256 * 256 * 9 + 256) + 256 * 256 + 256 + 4 * 256
    assert count(residual.generator) == 128 * 4096 + 4096 + 3 * up + 2 * 256 + 256 * 3 * 9 + 3
    three, one = 128 * 128 * 9 + 128, 128 * 128 + 128
    first = 3 * 128 * 9 + 128 + three + 3 * 128 + 128
    assert count(residual.discriminator) == first + (2 * three + one) + 2 * 2 * three + 129


@pytest.mark.parametrize(("pair", "shape", "said"), [
    (DCGAN, (1, 8, 8), "28x28"), (DCGAN, (3, 32, 32), "28x28"), (ResNetPair, (1, 28, 28), "32x32"),
    (ResNetPair, (2,), "32x32"),
])  # fmt: skip
def test_images_of_another_size_are_refused(pair: type[Pair], shape: tuple[int, ...], said: str) -> None:
    widths = {"width": 2} if pair is DCGAN else {"generator_width": 2, "discriminator_width": 2}
    with pytest.raises(ValueError, match=said):
        pair(shape=shape, latent=3, **widths)


def test_perceptrons_are_layer_by_layer_what_is_said() -> None:
    pair = MLPPair(shape=(2,), latent=3, hidden=[4, 5], squash=False)
    weights = [p for p in pair.generator.parameters()]
    z = torch.randn(6, 3)
    hidden = torch.relu(torch.relu(z @ weights[0].T + weights[1]) @ weights[2].T + weights[3])
    torch.testing.assert_close(pair.generator(z), hidden @ weights[4].T + weights[5])
    weights = [p for p in pair.discriminator.parameters()]
    x = torch.randn(6, 2)
    hidden = F.leaky_relu(F.leaky_relu(x @ weights[0].T + weights[1], 0.2) @ weights[2].T + weights[3], 0.2)
    torch.testing.assert_close(pair.discriminator(x), (hidden @ weights[4].T + weights[5])[:, 0])
    squashed = MLPPair(shape=(2,), latent=3, hidden=[4, 5], squash=True)
    squashed.load_state_dict(pair.state_dict())
    torch.testing.assert_close(squashed.generator(z), pair.generator(z).tanh())


def test_residual_blocks_are_the_reference_codes() -> None:
    up, x = Up(4).eval(), torch.randn(2, 4, 5, 5)
    doubled = F.interpolate(x, scale_factor=2)
    inner = F.interpolate(torch.relu(up.bn1(x)), scale_factor=2)
    torch.testing.assert_close(up(x), up.shortcut(doubled) + up.conv2(torch.relu(up.bn2(up.conv1(inner)))))
    half, x = Down(3, 4, halve=True, first=True), torch.randn(2, 3, 6, 6)
    expected = F.avg_pool2d(half.conv2(torch.relu(half.conv1(x))) + half.shortcut(x), 2)
    torch.testing.assert_close(half(x), expected)
    same, x = Down(4, 4), torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(same(x), x + same.conv2(torch.relu(same.conv1(torch.relu(x)))))
    assert Total()(torch.ones(2, 3, 4, 5)).tolist() == [[20.0] * 3] * 2


def test_every_layer_of_the_discriminator_has_spectral_norm_one_and_begins_with_zero_biases() -> None:
    pair = ResNetPair(shape=(3, 32, 32), latent=5, generator_width=4, discriminator_width=4)
    for _ in range(100):
        pair.discriminator(torch.zeros(1, 3, 32, 32))
    layers = [m for m in pair.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 11
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    for module in pair.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is not None
            assert not module.bias.any()

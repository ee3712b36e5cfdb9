"""Every conf/model/*.yaml, by the published sizes and by what a task relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from lookahead_bench.build import model_of
from lookahead_bench.models.resnet import Block, ResNet
from lookahead_bench.models.stacked import forward, stack

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
MODELS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
IMAGE_MODELS = [name for name in ("mlp", "cnn", "resnet20", "resnet18") if name in MODELS]
CIFAR: dict[str, Any] = {"in_shape": (3, 32, 32), "classes": 10}


def build(name: str, seed: int = 0, **shape: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_of(MODELS[name])(**(shape or CIFAR))


@pytest.mark.parametrize(("name", "classes", "count"), [("resnet18", 10, 11_173_962), ("resnet20", 10, 269_722)])
def test_parameter_counts_are_the_published_ones(name: str, classes: int, count: int) -> None:
    network = build(name, in_shape=(3, 32, 32), classes=classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_the_yaml_says_what_is_in_the_network(name: str) -> None:
    assert MODELS[name]["about"]["batchnorm"] is any(
        isinstance(module, nn.BatchNorm2d) for module in build(name).modules()
    )
    assert MODELS[name]["name"] == name


@pytest.mark.parametrize("name", IMAGE_MODELS)
@pytest.mark.parametrize("shape", [((1, 8, 8), 10), ((3, 32, 32), 100)])
def test_logits_and_gradients(name: str, shape: tuple[tuple[int, ...], int]) -> None:
    in_shape, classes = shape
    network = build(name, in_shape=in_shape, classes=classes)
    logits = network(torch.randn(2, *in_shape))
    assert logits.shape == (2, classes)
    logits.square().sum().backward()  # not the plain sum, to which BatchNorm's inputs are indifferent
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_the_seed_decides_the_initialisation(name: str) -> None:
    one, same, other = build(name, 1), build(name, 1), build(name, 2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_the_memory_layout_changes_nothing(name: str) -> None:
    network, images = build(name).eval(), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        plain = network(images)
        last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, atol=1e-5, rtol=1e-4)


def test_initialisation_of_he() -> None:
    weight = build("resnet20").get_parameter("stages.8.conv2.weight").detach()
    assert weight.std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


def test_shortcut_without_parameters_keeps_every_other_pixel_and_adds_zeros() -> None:
    block = Block(4, 8, 2, "pad").eval()
    nn.init.zeros_(block.bn2.weight)  # switches the residual branch off
    x = torch.rand(2, 4, 6, 6)
    out = block(x)
    assert torch.equal(out[:, 2:6], x[:, :, ::2, ::2])
    assert not out[:, :2].any()
    assert not out[:, 6:].any()


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_stacked_networks_give_what_each_gives_alone(name: str) -> None:
    networks = [build(name, seed) for seed in range(3)]
    for network in networks:  # a last layer of zeros would hide the differences
        nn.init.normal_(list(network.parameters())[-2], std=0.1)
    images = torch.randn(3, 4, 3, 32, 32)
    stacked = stack(networks)
    logits = forward(stacked, images)
    logits.square().sum().backward()
    for r, network in enumerate(networks):
        alone = network(images[r])
        alone.square().sum().backward()
        torch.testing.assert_close(logits[r], alone, atol=1e-5, rtol=1e-5)
        for (key, together), parameter in zip(stacked.named_parameters(), network.parameters(), strict=True):
            assert together.grad is not None
            torch.testing.assert_close(together.grad[r], parameter.grad, atol=1e-4, rtol=1e-4, msg=key)


def test_stacked_convolutions_keep_the_layout_and_so_the_bits() -> None:
    """In another memory layout a convolution rounds otherwise, and max-pooling makes that large within a few steps."""
    networks = [build("cnn", seed).to(memory_format=torch.channels_last) for seed in range(3)]
    images = torch.randn(3, 4, 32, 32, 3).permute(0, 1, 4, 2, 3)
    stacked = stack(networks)
    for together, *alone in zip(stacked.parameters(), *(n.parameters() for n in networks), strict=True):
        assert [row.stride() for row in together] == [p.stride() for p in alone]
    features = forward(torch.nn.Sequential(stacked.features), images)
    for r, network in enumerate(networks):
        assert torch.equal(features[r], network.features(images[r]))


def test_networks_with_buffers_cannot_be_stacked() -> None:
    arguments: dict[str, Any] = {"widths": [4], "blocks": [1], "shortcut": "pad", "initialisation": "he"}
    with pytest.raises(ValueError, match="without BatchNorm"):
        stack([ResNet(**CIFAR, **arguments) for _ in range(2)])

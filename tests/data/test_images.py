"""Batches are pure functions of seed and draw, and what torchvision makes of the same crops and flips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import Images, Stream, channel_statistics, split
from lookahead_bench.errors import ConfigError

N, H, W, C = 70, 6, 5, 3
PIXELS = np.random.default_rng(0).integers(0, 256, (N, H, W, C), dtype=np.uint8)
LABELS = np.arange(N)  # a label names its image
MEAN, STD = channel_statistics(PIXELS)


def images(pad: int = 0, channels_last: bool = False, count: int = N) -> Images:
    return Images(PIXELS[:count], LABELS[:count], mean=MEAN, std=STD, pad=pad, channels_last=channels_last)


def normalised(pixels: Tensor) -> Tensor:
    return (pixels - torch.tensor(MEAN).view(-1, 1, 1)).div(torch.tensor(STD).view(-1, 1, 1)).float()


@pytest.mark.parametrize("channels_last", [False, True])
def test_crop_flip_and_normalisation_are_torchvisions(channels_last: bool) -> None:
    index, top, left = torch.tensor([3, 69, 3, 0]), torch.tensor([0, 4, 8, 1]), torch.tensor([8, 4, 0, 3])
    flipped = torch.tensor([0, 3])
    values, labels = images(pad=4, channels_last=channels_last).at(index, (top, left), flipped)
    assert labels.tolist() == [3, 69, 3, 0]
    for i in range(4):
        image = torch.from_numpy(PIXELS[index[i]]).permute(2, 0, 1)
        expected = reference.crop(reference.pad(image, [4, 4, 4, 4]), int(top[i]), int(left[i]), H, W)
        if i in flipped:
            expected = reference.horizontal_flip(expected)
        torch.testing.assert_close(values[i], normalised(expected), atol=1e-6, rtol=1e-6)
    assert values.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize("channels_last", [False, True])
def test_without_augmentation_the_middle_is_taken(channels_last: bool) -> None:
    everything = torch.arange(N)
    expected = normalised(torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    for pad in (0, 4):
        values, _ = images(pad, channels_last).at(everything)
        torch.testing.assert_close(values, expected, atol=1e-6, rtol=1e-6)


def test_the_resident_images_are_never_changed() -> None:
    resident = images(pad=4)
    before = resident.windows.clone()
    stream = Stream(resident, [1], 16, augment=True)
    for draw in range(8):
        stream.batch(draw)[0].zero_()
    assert torch.equal(resident.windows, before)


def test_images_come_in_the_type_that_is_asked_for() -> None:
    pixels, mean, std = np.zeros((2, 4, 4, 1), np.uint8), np.zeros(1), np.ones(1)
    found = Images(pixels, np.zeros(2, np.int64), mean=mean, std=std, dtype=torch.float64).at(torch.arange(2))[0]
    assert found.dtype == torch.float64


@pytest.mark.parametrize("count", [3, 500, 1203])
def test_statistics_are_exact(count: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2), dtype=np.float64), rtol=1e-14)
    np.testing.assert_allclose(std, pixels.astype(np.float64).std((0, 1, 2)), rtol=1e-12)


def test_the_split_is_one_for_all() -> None:
    train, val = split(1000, 100)
    assert len(val) == 100
    assert sorted([*train, *val]) == list(range(1000))
    np.testing.assert_array_equal(val, split(1000, 100)[1])
    assert set(split(1000, 50)[1]) <= set(val)
    assert len(split(1000, 0)[1]) == 0


def test_an_epoch_is_a_permutation_without_its_incomplete_batch() -> None:
    stream = Stream(images(), [1], 16, augment=False)
    assert stream.batches_per_epoch == 4
    epochs = [torch.cat([stream.batch(4 * epoch + i)[1] for i in range(4)]).tolist() for epoch in range(3)]
    assert [len(set(epoch)) for epoch in epochs] == [64, 64, 64]
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("augment", [False, True])
def test_a_batch_depends_on_seed_and_draw_only(augment: bool) -> None:
    forwards, backwards = (Stream(images(pad=4), [7], 16, augment) for _ in range(2))
    drawn = {draw: forwards.batch(draw) for draw in range(10)}
    torch.rand(5)  # the global generator plays no part
    for draw in reversed(range(10)):
        again = backwards.batch(draw)
        assert torch.equal(again[0], drawn[draw][0])
        assert torch.equal(again[1], drawn[draw][1])


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, batch_size: int, augment: bool) -> list[int]:
        stream = Stream(images(pad=4), [seed], batch_size, augment)
        return torch.cat([stream.batch(draw)[1] for draw in range(stream.batches_per_epoch)]).tolist()[:60]

    assert order(1, 10, False) == order(1, 10, True) == order(1, 20, False)[:60]
    assert order(1, 10, False) != order(2, 10, False)


def test_the_augmentation_covers_every_crop_and_both_sides() -> None:
    stream = Stream(images(pad=4), [1], 64, augment=True)
    drawn = [stream._augmentation(torch.Generator().manual_seed(i)) for i in range(40)]
    top, left, flip = torch.cat(drawn, dim=1)
    assert set(top.tolist()) == set(left.tolist()) == set(range(9))
    assert 0.45 < flip.float().mean() < 0.55


def test_rows_of_several_seeds_are_those_of_each_alone() -> None:
    together = Stream(images(pad=4), [3, 4, 5], 16, augment=True)
    for draw in (0, 3, 9):
        values, labels = together.batch(draw)
        for row, seed in enumerate((3, 4, 5)):
            alone = Stream(images(pad=4), [seed], 16, augment=True).batch(draw)
            assert torch.equal(values[row], alone[0])
            assert torch.equal(labels[row], alone[1])


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch_size=71: at most the 70 training images"):
        Stream(images(), [1], 71, augment=False)
    assert Stream(images(), [1], 70, augment=False).batches_per_epoch == 1


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("cifar10", (125.30691805, 122.95039414, 113.86538318), (62.99321928, 62.08870764, 66.70489964)),
        ("cifar100", (129.30416561, 124.0699627, 112.43405006), (68.1702429, 65.39180804, 70.41837019)),
    ],
)
def test_statistics_of_the_real_images_are_the_published_ones(
    name: str, mean: tuple[float, ...], std: tuple[float, ...], real_data: Path
) -> None:
    found = channel_statistics(load(name, real_data)["train_images"])
    np.testing.assert_allclose(found[0], mean, atol=1e-7)
    np.testing.assert_allclose(found[1], std, atol=1e-7)

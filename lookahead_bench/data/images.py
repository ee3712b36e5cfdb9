"""Image sets that lie whole on the device as uint8: a batch is one gather, a flip and one normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lookahead_bench.data.epochs import Epochs
from lookahead_bench.errors import ConfigError
from lookahead_bench.seeds import generator

PAD = 4  # pixels of zeros around an image before a random crop (He et al. 2016, section 4.2)


def split(count: int, val_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` training images are trained on and which are held out, as two sorted index arrays.

    The same for every run and seed, so that all of them choose on the same images.
    Errors: ConfigError where nothing would be left to train on.
    """
    if val_size >= count:
        raise ConfigError(f"dataset.val_size={val_size}: less than the {count} training images")
    order = torch.randperm(count, generator=generator(0, "split")).numpy()
    return np.sort(order[val_size:]), np.sort(order[:val_size])


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of uint8 [N, H, W, C], on the 0..255 scale, free of rounding."""
    channels = images.shape[-1]
    total, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, len(images), 500):  # 500 * 255^2 fits into 32 bits, and all sums stay below 2^53
        chunk = images[start : start + 500].reshape(min(500, len(images) - start), -1)
        total += chunk.sum(0, dtype=np.uint32).reshape(-1, channels).sum(0, dtype=np.float64)
        square = np.square(chunk, dtype=np.uint16)
        squares += square.sum(0, dtype=np.uint32).reshape(-1, channels).sum(0, dtype=np.float64)
    pixels = images.size // channels
    mean = total / pixels
    return mean, np.sqrt(squares / pixels - mean**2)


class Images:
    """Labelled images on one device; `at` gives any of them, cropped, flipped and normalised.

    images: uint8 [N, H, W, C]; labels: integers [N]; mean, std: [C] on the scale of the images;
    pad: zeros around every image, 0 <= crop offsets <= 2 pad; channels_last: the memory layout of what `at` gives;
    dtype: its floating type.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        mean: np.ndarray,
        std: np.ndarray,
        pad: int = 0,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _, height, width, channels = images.shape
        pixels = torch.nn.functional.pad(torch.from_numpy(images).to(device), (0, 0, pad, pad, pad, pad))
        if channels_last:
            windows = pixels.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)
        else:
            windows = pixels.permute(0, 3, 1, 2).contiguous().unfold(2, height, 1).unfold(3, width, 1)
            windows = windows.permute(0, 2, 3, 1, 4, 5)
        self.windows = windows  # [N, 2 pad + 1, 2 pad + 1, H, W, C] or [..., C, H, W]: all crops, as one view
        self.labels = torch.from_numpy(labels).to(device)
        self.shape = (channels, height, width)
        self.pad = pad
        self.channels_last = channels_last
        # One value an element, since adding a vector of three to the innermost dimension is not vectorised.
        column = (1, 1, -1) if channels_last else (-1, 1, 1)
        self._mean, self._scale = (
            torch.tensor(values, dtype=dtype, device=device).view(column).expand(windows.shape[3:]).flatten()
            for values in (mean, 1 / std)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def at(
        self, index: Tensor, offsets: tuple[Tensor, Tensor] | None = None, flipped: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] and labels [B] at index [B]; offsets: top, left of each crop; flipped: rows to mirror."""
        device = self.labels.device
        if offsets is None:
            index = moved(index, device)
            pixels = self.windows[index, self.pad, self.pad]
        else:
            index, top, left = moved(torch.stack([index, *offsets]), device)
            pixels = self.windows[index, top, left]
        if flipped is not None:
            flipped = moved(flipped, device)
            mirrored = pixels.index_select(0, flipped).flip(2 if self.channels_last else 3)
            pixels.index_copy_(0, flipped, mirrored)
        values = pixels.flatten(1).to(self._mean.dtype).sub_(self._mean).mul_(self._scale).view(pixels.shape)
        return values.permute(0, 3, 1, 2) if self.channels_last else values, self.labels[index]


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A processor's tensor on the device; the processor does not wait for a GPU to get there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Stream:
    """The training batches of one seed, or of several at once: `batch(draw)` is a pure function.

    seeds: one, for batches [B, ...], or R of them, for batches [R, B, ...] whose row r is what seeds[r] alone gives.
    The order is that of `Epochs`; the augmentation (crop, and a flip of every other image) depends on (seed, draw).
    """

    def __init__(self, images: Images, seeds: Sequence[int], batch_size: int, augment: bool) -> None:
        self.images, self.seeds, self.batch_size, self.augment = images, tuple(seeds), batch_size, augment
        self._epochs = Epochs(len(images), batch_size, seeds)
        self.batches_per_epoch = self._epochs.batches

    def batch(self, draw: int) -> tuple[Tensor, Tensor]:
        """The draw-th batch (0, 1, 2, ...): images and labels."""
        index = self._epochs.rows(draw)
        if self.augment:
            drawn = [self._augmentation(generator(seed, "augmentation", draw)) for seed in self.seeds]
            top, left, flip = torch.cat(drawn, dim=1)
            values, labels = self.images.at(index, (top, left), flip.nonzero().squeeze(1))
        else:
            values, labels = self.images.at(index)
        if len(self.seeds) == 1:
            return values, labels
        rows = (len(self.seeds), self.batch_size)
        return values.view(*rows, *values.shape[1:]), labels.view(rows)

    def _augmentation(self, random: torch.Generator) -> Tensor:
        """Top, left and whether flipped, int64 [3, B]."""
        offsets = torch.randint(0, 2 * self.images.pad + 1, (2, self.batch_size), generator=random)
        return torch.cat([offsets, torch.randint(0, 2, (1, self.batch_size), generator=random)])

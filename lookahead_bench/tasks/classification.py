"""Image classification: one player, cross entropy, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import PAD, Images, Stream, channel_statistics, split
from lookahead_bench.hardware import Machine
from lookahead_bench.seeds import derive
from lookahead_bench.tasks.base import Call, Scores
from lookahead_bench.tasks.network import NetworkTask, multiply_adds

PLAYER = "model"
SCORED_AT_ONCE = 1000  # images of a forward pass of the evaluation
STATISTICS_BATCHES = 50  # training batches that BatchNorm statistics are estimated from


class Classification(NetworkTask):
    """Cross entropy of a network on labelled images, on the training set in mini-batches.

    data: a data set of `lookahead_bench.data.fetch`; data_dir: where it lies or is put; model: makes the network of
    in_shape (C, H, W) and classes; batch_size: of one replica, at most the training images; val_size: training images
    that are held out (the same for every seed), 0 for none; augment: random crop with 4 pixels of zeros around, and
    horizontal flip; seeds, dtype (of the images too), machine: see `NetworkTask`.
    Images are normalised by the mean and standard deviation of each channel of the images trained on.
    Errors: DataError where there is no data, ConfigError where a batch is larger than the data.
    """

    batch_dim = 0

    def __init__(
        self, *, data: str, data_dir: Path | str, model: Callable[..., nn.Module], batch_size: int, val_size: int,
        augment: bool, seeds: Sequence[int], dtype: torch.dtype, machine: Machine,
    ) -> None:  # fmt: skip
        arrays = load(data, data_dir)
        height, width, *channels = arrays["train_images"].shape[1:]
        shape = (*(channels or [1]), height, width)
        super().__init__(
            lambda: {PLAYER: model(in_shape=shape, classes=int(arrays["train_labels"].max()) + 1)},
            lambda networks: batch_size * multiply_adds(networks[PLAYER], torch.zeros(1, *shape)),
            seeds=seeds, dtype=dtype, machine=machine,
        )  # fmt: skip
        self._held_out = _image_sets(
            arrays, val_size, PAD if augment else 0, device=machine.device, dtype=dtype,
            channels_last=self.settings.channels_last,
        )  # fmt: skip
        training = self._held_out.pop("train")
        self._stream = Stream(training, seeds, batch_size, augment)
        self._statistics = Stream(training, [derive(seeds[0], "statistics")], batch_size, augment)
        self.samples_per_batch, self.batches_per_epoch = batch_size, self._stream.batches_per_epoch
        self._latest: tuple[Tensor, Tensor] | None = None

    def batch(self, draw: int) -> tuple[Tensor, Tensor]:
        return self._stream.batch(draw)

    def network_losses(self, batch: tuple[Tensor, Tensor], call: Call) -> dict[str, Tensor]:
        images, labels = batch
        logits = self.training_forward[PLAYER](images)
        if call.first:
            self._latest = logits.detach(), labels
        return {PLAYER: _cross_entropy(logits, labels).mean(-1)}

    def statistics_passes(self) -> None:
        for draw in range(min(STATISTICS_BATCHES, self._statistics.batches_per_epoch)):
            self.forward[PLAYER](self._statistics.batch(draw)[0])

    def train_metrics(self, draws: int) -> Scores:
        """Accuracy on the batch of the last step's first evaluation, before the step."""
        if self._latest is None:
            return {}
        logits, labels = self._latest
        return {"accuracy": self.ranks.mean(_hits(logits, labels).mean(-1))}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        """Loss and accuracy over the whole validation split (where there is one) and the whole test set."""
        for name, images in self._held_out.items():
            yield name, self._score(images)

    @torch.no_grad()
    def _score(self, images: Images) -> Scores:
        parts = []
        with self._mode(training=False):
            for start in range(0, len(images), SCORED_AT_ONCE):
                values, labels = images.at(torch.arange(start, min(start + SCORED_AT_ONCE, len(images))))
                if self.replicas > 1:
                    values, labels = (x.expand(self.replicas, *x.shape) for x in (values, labels))
                logits = self.forward[PLAYER](values)
                losses, hits = _cross_entropy(logits, labels), _hits(logits, labels)
                parts.append(torch.stack([losses.double().sum(-1), hits.double().sum(-1)]))
        loss, accuracy = torch.stack(parts).sum(0) / len(images)
        return {"loss": loss, "accuracy": accuracy}


def _image_sets(arrays: Mapping[str, np.ndarray], val_size: int, pad: int, **layout: Any) -> dict[str, Images]:
    """The images to train on ("train", with room for crops), to choose on ("val", if any) and to report on ("test")."""
    train, val = split(len(arrays["train_labels"]), val_size)
    images = {key: arrays[key].reshape(*arrays[key].shape[:3], -1) for key in ("train_images", "test_images")}
    parts = {
        "train": (images["train_images"][train], arrays["train_labels"][train]),
        "val": (images["train_images"][val], arrays["train_labels"][val]),
        "test": (images["test_images"], arrays["test_labels"]),
    }
    mean, std = channel_statistics(parts["train"][0])
    return {
        name: Images(*part, mean=mean, std=std, pad=pad if name == "train" else 0, **layout)
        for name, part in parts.items()
        if len(part[1])
    }


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of every sample, in at least float32: logits [..., B, classes], labels [..., B]."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def _hits(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(-1) == labels).to(torch.get_default_dtype())

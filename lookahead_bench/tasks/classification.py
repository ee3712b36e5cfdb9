"""Image classification: one player, cross entropy, accuracy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from torch import Tensor, nn
from torch.nn import functional as F

from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import PAD, Images, Stream, channel_statistics, split
from lookahead_bench.models.stacked import forward, stack
from lookahead_bench.seeds import derive
from lookahead_bench.tasks.base import Scores, Task

Forward = Callable[[Tensor], Tensor]
PLAYER = "model"
SCORED_AT_ONCE = 1000  # images of a forward pass of the evaluation
STATISTICS_BATCHES = 50  # training batches that BatchNorm statistics are estimated from
_NOT_ARGUMENTS = ("_target_", "name", "about")  # of a model node


class Classification(Task):
    """Cross entropy of a network on labelled images, on the training set in mini-batches.

    data: a data set of `lookahead_bench.data.fetch`; data_dir: where it lies or is put; model: `_target_` of the
    network and its arguments; seeds: 0 <= seed < 2^32, one a replica, whose networks are one program; batch_size: of
    one replica, at most the training images; val_size: training images that are held out (the same for every seed),
    0 for none; augment: random crop with 4 pixels of zeros around, and horizontal flip;
    dtype: of parameters and images; device, channels_last, compile (the network's training passes): where and how it
    runs.
    Images are normalised by the mean and standard deviation of each channel of the images trained on.
    Errors: DataError where there is no data, ConfigError where a batch is larger than the data.
    """

    def __init__(
        self,
        *,
        data: str,
        data_dir: Path | str,
        model: Mapping[str, Any],
        seeds: Sequence[int],
        batch_size: int,
        val_size: int,
        augment: bool,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        arrays = load(data, data_dir)
        sets = _image_sets(
            arrays, val_size, PAD if augment else 0, device=device, channels_last=channels_last, dtype=dtype
        )
        training = sets.pop("train")
        self._held_out = sets
        self.replicas = len(seeds)
        self.samples_per_batch = batch_size
        self._stream = Stream(training, seeds, batch_size, augment)
        self._statistics = Stream(training, [derive(seeds[0], "statistics")], batch_size, augment)
        self.batches_per_epoch = self._stream.batches_per_epoch

        arguments = {key: value for key, value in model.items() if key not in _NOT_ARGUMENTS}
        arguments |= {"in_shape": training.shape, "classes": int(arrays["train_labels"].max()) + 1}
        networks = [_network(model["_target_"], arguments, seed) for seed in seeds]
        if channels_last:
            networks = [network.to(memory_format=torch.channels_last) for network in networks]
        self.network = (networks[0] if len(seeds) == 1 else stack(networks)).to(device, dtype)
        self._forward: Forward = self.network if len(seeds) == 1 else partial(forward, self.network)
        self._training_forward: Forward = torch.compile(self._forward) if compile else self._forward
        self._normalised = [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._latest: tuple[Tensor, Tensor] | None = None
        self._frozen = False
        self.players = {PLAYER: list(self.network.parameters())}

    def batch(self, draw: int) -> tuple[Tensor, Tensor]:
        return self._stream.batch(draw)

    def losses(self, batch: tuple[Tensor, Tensor], players: Sequence[str]) -> dict[str, Tensor]:
        images, labels = batch
        logits = self._training_forward(images)
        if not self._frozen:
            self._latest = logits.detach(), labels
        return {PLAYER: _cross_entropy(logits, labels).mean(-1)}

    def train_metrics(self) -> Scores:
        """Accuracy on the batch of the last step's first evaluation, before the step."""
        if self._latest is None:
            return {}
        logits, labels = self._latest
        return {"accuracy": _hits(logits, labels).mean(-1)}

    def evaluate(self) -> Iterator[tuple[str, Scores]]:
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
                logits = self._forward(values)
                losses, hits = _cross_entropy(logits, labels), _hits(logits, labels)
                parts.append(torch.stack([losses.double().sum(-1), hits.double().sum(-1)]))
        loss, accuracy = torch.stack(parts).sum(0) / len(images)
        return {"loss": loss, "accuracy": accuracy}

    @contextlib.contextmanager
    def restored_statistics(self, reestimate: bool) -> Iterator[None]:
        saved = [buffer.clone() for buffer in self.network.buffers()]
        try:
            if reestimate and self._normalised:
                self._estimate_statistics()
            with self._mode(training=False):
                yield
        finally:
            with torch.no_grad():
                for buffer, value in zip(self.network.buffers(), saved, strict=True):
                    buffer.copy_(value)

    @torch.no_grad()
    def _estimate_statistics(self) -> None:
        """Mean of the batch statistics over the first batches of a stream of their own."""
        momenta = [module.momentum for module in self._normalised]
        for module in self._normalised:
            module.reset_running_stats()
            module.momentum = None  # cumulative average
        try:
            with self._mode(training=True):
                for draw in range(min(STATISTICS_BATCHES, self._statistics.batches_per_epoch)):
                    self.network(self._statistics.batch(draw)[0])
        finally:
            for module, momentum in zip(self._normalised, momenta, strict=True):
                module.momentum = momentum

    @contextlib.contextmanager
    def frozen_statistics(self, frozen: bool) -> Iterator[None]:
        # A BatchNorm module that tracks nothing uses the batch's statistics and leaves its buffers alone, the counter
        # included; momentum 0 would go on counting, and would turn 0 * inf into nan.
        self._frozen = frozen
        for module in self._normalised if frozen else ():
            module.track_running_stats = False
        try:
            yield
        finally:
            self._frozen = False
            for module in self._normalised if frozen else ():
                module.track_running_stats = True

    @contextlib.contextmanager
    def _mode(self, training: bool) -> Iterator[None]:
        before = self.network.training
        self.network.train(training)
        try:
            yield
        finally:
            self.network.train(before)

    def state_dict(self) -> dict[str, Any]:
        tensors = [*self.network.named_parameters(), *self.network.named_buffers()]
        return {PLAYER: {name: tensor.detach() for name, tensor in tensors}}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        own, saved = self.state_dict()[PLAYER], state[PLAYER]
        wrong = [name for name in own.keys() | saved.keys() if _shape(own, name) != _shape(saved, name)]
        if wrong:
            name = min(wrong)
            raise ValueError(f"{name}: the network has shape {_shape(own, name)}, the state {_shape(saved, name)}")
        for name, tensor in own.items():
            tensor.copy_(saved[name])


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


def _network(target: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        # Only the CPU's generator: torch.manual_seed would reseed every GPU, whose states are not put back.
        torch.default_generator.manual_seed(derive(seed, "init"))
        network: nn.Module = get_class(target)(**arguments)
    return network


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of every sample, in at least float32: logits [..., B, classes], labels [..., B]."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def _hits(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(-1) == labels).to(torch.get_default_dtype())

"""The whole training loop against bare forward and backward passes on one batch that lies ready."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from lookahead_bench import configuration
from lookahead_bench.bench.measure import interleaved, show
from lookahead_bench.build import resolve
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory

STEPS = 5  # of a turn


def noise_images(directory: Path) -> None:
    """A data set of CIFAR-10's shape: speed does not depend on what the pictures show."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 50_000), ("test", 10_000)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.int64) % 10
    np.savez(directory / "cifar10.npz", **arrays)


def main(values: Mapping[str, str]) -> None:
    """Print the loop's rate as a share of the bare one's, for ResNet-20 at scale=cpu with Lookahead over SGD."""
    with tempfile.TemporaryDirectory() as scratch:
        noise_images(Path(scratch))
        config = configuration.load(
            ["optimizer=lookahead", "dataset=cifar10", "tracker=none", f"data_dir={scratch}", f"results_dir={scratch}",
             "gpu.compile=false"]
        )  # fmt: skip
        trainer = Session(resolve(config), [(RunDirectory(config), None)]).build()
    images, labels = trainer.task.batch(0)
    network = trainer.task.networks["model"]  # type: ignore[attr-defined]  # of a NetworkTask
    parameters = list(network.parameters())

    def loop() -> None:
        for _ in range(STEPS):
            trainer.take_step()
            trainer.record_step()

    def bare() -> None:
        for _ in range(STEPS):
            for parameter in parameters:
                parameter.grad = None
            with trainer.oracle.autocasting():
                loss = F.cross_entropy(network(images), labels)
            loss.backward()

    network.train()
    seconds = interleaved({"bare forward and backward": bare, "training loop": loop}, rounds=10)
    rate = STEPS * len(labels) / np.median(seconds["training loop"])
    shares = np.array(seconds["bare forward and backward"]) / np.array(seconds["training loop"])
    show(
        f"ResNet-20, batches of {len(labels)}, {config['precision']}, {torch.get_num_threads()} threads; {STEPS} steps",
        seconds,
        "bare forward and backward",
        f"the loop trains {rate:,.0f} images/s, {np.median(shares):.3f} of the bare rate",
    )

"""A GAN's oracle call, and the loop's alternating rounds, against the same written by hand."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lookahead_bench import configuration
from lookahead_bench.bench.measure import interleaved, show
from lookahead_bench.build import resolve
from lookahead_bench.data.fetch import SOURCES
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.scores import classifier
from lookahead_bench.tasks.gan import DISCRIMINATOR, GAN, GENERATOR
from lookahead_bench.trainer import Trainer

STEPS = 10  # of a turn
ROUNDS = 15


def noise_mnist(directory: Path) -> None:
    """Files of MNIST's shape and a classifier that has learnt nothing: speed depends on neither."""
    source = SOURCES["mnist"]
    folder = directory / source.folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for archive in source.archives:
        count = 60_000 if archive.filename.startswith("train") else 10_000
        shape = (count, *source.shape) if "images" in archive.filename else (count,)
        with gzip.open(folder / archive.filename, "wb", compresslevel=1) as file:
            file.write(bytes((0, 0, 8, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape))
            file.write(random.integers(0, 10, shape, dtype=np.uint8).tobytes())
    checkpoint.save({classifier.stored("mnist", directory): classifier.RECIPES["mnist"].network().state_dict()})


def trainer_of(optimizer: str) -> tuple[Trainer, GAN]:
    with tempfile.TemporaryDirectory() as scratch:
        noise_mnist(Path(scratch))
        config = configuration.load(
            ["dataset=mnist_gan", f"optimizer={optimizer}", "ema=null", "tracker=none", f"data_dir={scratch}",
             f"results_dir={scratch}", "dataset.scored=100"]
        )  # fmt: skip
        trainer = Session(resolve(config), [(RunDirectory(config), None)]).build()
    assert isinstance(trainer.task, GAN)
    return trainer, trainer.task


def main(values: Mapping[str, str]) -> None:
    """Print both comparisons for the networks of mnist_gan at scale=cpu: a call of all players, and rounds of Adam."""
    trainer, task = trainer_of("alt_adam")
    judge, maker = (task.networks[player] for player in (DISCRIMINATOR, GENERATOR))
    batch = task.batch(0)

    def discriminator_gradient() -> None:
        clear(task.players[DISCRIMINATOR])
        with trainer.oracle.autocasting():
            with torch.no_grad():
                fake = maker(batch.latent)
            loss = (F.softplus(-judge(batch.real).float()) + F.softplus(judge(fake).float())).mean()
        loss.backward(inputs=task.players[DISCRIMINATOR])

    def generator_gradient() -> None:
        clear(task.players[GENERATOR])
        with trainer.oracle.autocasting():
            loss = F.softplus(-judge(maker(batch.latent)).float()).mean()
        loss.backward(inputs=task.players[GENERATOR])

    def by_hand() -> None:
        discriminator_gradient()
        generator_gradient()

    def oracle_call() -> None:
        trainer.oracle.begin_step()
        trainer.oracle()

    note = f"{len(batch.real)} images a batch, {trainer.oracle.autocast}, {torch.get_num_threads()} threads"
    show(f"one oracle call of mnist_gan; {note}", interleaved(
        {"by hand": repeated(by_hand), "oracle call": repeated(oracle_call)}, rounds=ROUNDS), "by hand")  # fmt: skip

    adams = [
        torch.optim.Adam(task.players[player], lr=1e-3, betas=(0.05, 0.999), fused=True) for player in task.players
    ]

    def bare_round() -> None:
        for gradient, adam in zip((discriminator_gradient, generator_gradient), adams, strict=True):
            gradient()
            adam.step()

    def loop() -> None:
        trainer.take_step()
        trainer.record_step()

    seconds = interleaved({"bare rounds": repeated(bare_round), "training loop": repeated(loop)}, rounds=ROUNDS)
    shares = np.array(seconds["bare rounds"]) / np.array(seconds["training loop"])
    show(f"{STEPS} alternating rounds of Adam; {note}", seconds, "bare rounds",
         f"the loop goes at {np.median(shares):.3f} of the bare rate")  # fmt: skip


def clear(parameters: Iterable[Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None


def repeated(one: Callable[[], None]) -> Callable[[], None]:
    def turn() -> None:
        for _ in range(STEPS):
            one()

    return turn

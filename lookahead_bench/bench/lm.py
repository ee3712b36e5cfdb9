"""A language model's training loop against the plain float32 loop in torch, and against its own bare passes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lookahead_bench import configuration
from lookahead_bench.bench.measure import interleaved, show
from lookahead_bench.build import resolve
from lookahead_bench.models.head import cross_entropy
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.tasks.language_model import PLAYER, LanguageModel
from lookahead_bench.trainer import Trainer

STEPS = 3  # of a turn
ROUNDS = 10
WORDS, VOCABULARY = 200_000, 10_000  # speed does not depend on what a text says


def noise_text(directory: Path) -> Path:
    random = np.random.default_rng(0)
    words = [*range(VOCABULARY - 2), *random.integers(0, VOCABULARY - 2, WORDS)]
    path = directory / "text"
    path.write_text("\n".join(" ".join(f"w{word}" for word in words[i : i + 20]) for i in range(0, len(words), 20)))
    return path


def trainer_of(*overrides: str) -> tuple[Trainer, LanguageModel]:
    with tempfile.TemporaryDirectory() as scratch:
        config = configuration.load(
            ["dataset=ptb", "optimizer=sgd", "tracker=none", f"dataset.text_file={noise_text(Path(scratch))}",
             f"results_dir={scratch}", *overrides]
        )  # fmt: skip
        trainer = Session(resolve(config), [(RunDirectory(config), None)]).build()
    assert isinstance(trainer.task, LanguageModel)
    return trainer, trainer.task


class Plain(nn.Module):
    """The same model as everybody writes it."""

    def __init__(self, words: int, width: int = 200) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, 2)
        self.decoder = nn.Linear(width, words)


def main(values: Mapping[str, str]) -> None:
    """Print both comparisons for the small LSTM of ptb at scale=cpu, SGD and clipping included in both loops."""
    trainer, task = trainer_of()
    device, clip = task.settings.device, trainer.oracle.clip_norm
    assert clip is not None
    batch, network = task.batch(0), task.networks[PLAYER]
    tokens = STEPS * batch.targets.numel()

    plain = Plain(len(task.corpus.words)).to(device)
    sgd = torch.optim.SGD(plain.parameters(), lr=20.0, weight_decay=1.2e-6)
    state = (torch.zeros(2, task.batch_size, 200, device=device), torch.zeros(2, task.batch_size, 200, device=device))

    def plain_loop() -> None:
        nonlocal state
        for _ in range(STEPS):
            sgd.zero_grad()
            features, state = plain.lstm(plain.embedding(batch.words), state)
            F.cross_entropy(plain.decoder(features).flatten(0, 1), batch.targets.flatten()).backward()
            state = (state[0].detach(), state[1].detach())
            nn.utils.clip_grad_norm_(plain.parameters(), clip)
            sgd.step()

    def bare() -> None:
        begin = task.network.initial_state(task.batch_size)
        for _ in range(STEPS):
            for parameter in task.players[PLAYER]:
                parameter.grad = None
            with trainer.oracle.autocasting():
                features, _, _ = network(batch.words, begin)
                decoder = task.network.decoder
                loss = cross_entropy(features.flatten(0, 1), decoder.weight, decoder.bias, batch.targets.flatten())
            loss.backward()

    def loop() -> None:
        for _ in range(STEPS):
            trainer.take_step()
            trainer.record_step()

    seconds = interleaved(
        {"plain float32 loop": plain_loop, "bare forward and backward": bare, "training loop": loop}, rounds=ROUNDS
    )
    ours = np.array(seconds["training loop"])
    faster, share = (
        float(np.median(np.array(seconds[name]) / ours)) for name in ("plain float32 loop", "bare forward and backward")
    )
    note = f"{batch.targets.numel()} words a batch, {trainer.oracle.autocast}, {torch.get_num_threads()} threads"
    show(f"{STEPS} steps of the small LSTM on 10,000 words; {note}", seconds, "training loop",
         f"the loop trains {tokens / np.median(ours):,.0f} words/s, {faster:.2f} times the plain loop's, "
         f"{share:.3f} of the bare rate")  # fmt: skip

"""Word-level language modelling: one stream of words, a recurrent state that moves along it, perplexity."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from lookahead_bench.data.text import corpus
from lookahead_bench.errors import ConfigError
from lookahead_bench.hardware import Machine
from lookahead_bench.models.head import cross_entropy, token_losses
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.base import Call, Scores
from lookahead_bench.tasks.network import NetworkTask

PLAYER = "model"
SCORED_AT_ONCE = 1000  # words of a forward pass of the evaluation
SHORTEST, SPREAD, HALVED = 5, 5.0, 0.05  # of lengths that vary: the least, the standard deviation, how often halved


class Batch(NamedTuple):
    """words, targets [T, B]: the next word of each; first: of its epoch."""

    words: Tensor
    targets: Tensor
    first: bool


class Windows:
    """Where each batch stands in a stream of `rows` positions that every epoch goes through from end to end.

    bptt: positions of a batch; variable: the length varies, N(bptt, 5) or, one time in twenty, N(bptt / 2, 5), at least
    5 (Merity, Keskar, Socher 2018, section 5); seed: lengths are a function of (seed, epoch). An epoch's last batch is
    what is left.
    """

    def __init__(self, rows: int, bptt: int, variable: bool, seed: int) -> None:
        self.rows, self.bptt, self.variable, self.seed = rows, bptt, variable, seed
        self._firsts = [0]  # the first draw of every epoch so far, and of the next one
        self._epoch = -1
        self._edges: list[int] = []

    def at(self, draw: int) -> tuple[int, int, int]:
        """The epoch of a batch, where it begins and where it ends."""
        while self._firsts[-1] <= draw:
            self._firsts.append(self._firsts[-1] + len(self._cut(len(self._firsts) - 1)) - 1)
        epoch = bisect.bisect_right(self._firsts, draw) - 1
        if epoch != self._epoch:
            self._epoch, self._edges = epoch, self._cut(epoch)
        i = draw - self._firsts[epoch]
        return epoch, self._edges[i], self._edges[i + 1]

    def _cut(self, epoch: int) -> list[int]:
        """The edges of an epoch's batches, from 0 to `rows`."""
        if not self.variable:
            return [*range(0, self.rows, self.bptt), self.rows]
        most = self.rows // SHORTEST + 1
        random = generator(self.seed, "order", epoch)
        halved = torch.rand(most, generator=random) < HALVED
        means = torch.where(halved, self.bptt / 2, float(self.bptt))
        lengths = (means + SPREAD * torch.randn(most, generator=random)).long().clamp(min=SHORTEST)
        edges = itertools.accumulate(lengths.tolist(), initial=0)
        return [*itertools.takewhile(lambda edge: edge < self.rows, edges), self.rows]


class LanguageModel(NetworkTask):
    """Mean negative log-likelihood of the next word, in nats; the stream is cut into `batch_size` columns.

    data          ptb or pydoc (`lookahead_bench.data.text`); data_dir: where it lies or is put
    text_file     a text of one's own instead, in UTF-8; None: `data`
    vocabulary    most frequent words that are kept, with <eos> and <unk>
    model         makes the network (`lookahead_bench.models.lstm`) of the size of the vocabulary
    batch_size    columns of the training stream, each with a state of its own
    bptt          positions of a batch, over which gradients reach back
    variable_bptt the length varies (`Windows`), and the step's learning rate in proportion to it
    seeds (one), dtype, machine    see `NetworkTask`

    Batch d always follows batch d - 1, and an epoch begins with a state of zeros. With s_d the state in which batch d
    begins, the first evaluation on d gives e_d, and s_{d+1} = e_d, cut off from its graph. Every later evaluation on d
    (extragradient's second, at another point) begins in s_d again and moves nothing. So the state is carried from the
    weights that batch d was first evaluated at, the fast ones: with resample=step the anchor of an extragradient
    method, with resample=call every evaluation's own. A sync of Lookahead leaves it as it is, as published runs do.

    Every split is scored exactly: one pass over all of its words in order, from a state of zeros, each but the first
    predicted from all before it. Training rows have the loss with the model's penalties, and the perplexity without.
    Errors: DataError where there is no sound text, ConfigError where a batch has more columns than the text allows.
    """

    network_arguments: ClassVar = ("vocabulary",)
    batch_dim = 1
    compiled = False  # torch does not compile LSTMs, and every length would be compiled anew

    def __init__(
        self, *, data: str | None = None, data_dir: Path | str, text_file: str | None = None, vocabulary: int,
        model: Callable[..., nn.Module], batch_size: int, bptt: int, variable_bptt: bool, seeds: Sequence[int],
        dtype: torch.dtype, machine: Machine,
    ) -> None:  # fmt: skip
        (seed,) = seeds
        self.corpus = corpus(data, data_dir, text_file, vocabulary)
        rows = len(self.corpus.train) // batch_size
        if rows < 2:
            most = len(self.corpus.train) // 2
            raise ConfigError(f"dataset.batch_size={batch_size}: at most {most}, half of the words trained on")
        super().__init__(
            lambda: {PLAYER: model(vocabulary=len(self.corpus.words))},
            lambda networks: batch_size * bptt * float(sum(p.numel() for p in networks[PLAYER].parameters())),
            seeds=seeds, dtype=dtype, machine=machine,
        )  # fmt: skip
        device = self.settings.device
        columns = self.corpus.train[: rows * batch_size].view(batch_size, rows).t().contiguous()
        self._stream = columns.to(device)
        self._held_out = {"val": self.corpus.val.to(device), "test": self.corpus.test.to(device)}
        self.windows = Windows(rows - 1, bptt, variable_bptt, seed)
        self.batch_size = batch_size
        self._begin = self._next = self.network.initial_state(batch_size)
        self._latest: Tensor | None = None

    @property
    def network(self) -> Any:
        """As `lookahead_bench.models.lstm` says what a model has."""
        return self.networks[PLAYER]

    # -------------------------------------------------------------------------------------------------------- stream

    def epoch(self, draws: int) -> float:
        epoch, start, _ = self.windows.at(draws)
        return epoch + start / self.windows.rows

    def samples(self, draws: int) -> int:
        """Words predicted so far."""
        epoch, start, _ = self.windows.at(draws)
        return (epoch * self.windows.rows + start) * self.batch_size

    def rate(self, draw: int) -> float:
        _, start, end = self.windows.at(draw)
        return (end - start) / self.windows.bptt if self.windows.variable else 1.0

    def batch(self, draw: int) -> Batch:
        _, start, end = self.windows.at(draw)
        return Batch(self._stream[start:end], self._stream[start + 1 : end + 1], start == 0)

    # ---------------------------------------------------------------------------------------------------------- loss

    def network_losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        if call.fresh:
            self._begin = self.network.initial_state(self.batch_size) if batch.first else self._next
        features, end, penalty = self.forward[PLAYER](batch.words, self.ranks.part(self._begin, self.batch_dim))
        if call.fresh:
            self._next = self.ranks.whole([tensor.detach() for tensor in end], self.batch_dim)
        decoder = self.network.decoder
        loss = cross_entropy(features.flatten(0, 1), decoder.weight, decoder.bias, batch.targets.flatten())
        if call.first:
            self._latest = loss.detach()
        return {PLAYER: loss + penalty}

    def train_metrics(self, draws: int) -> Scores:
        """Perplexity on the batch of the last step's first evaluation, before the step, without penalties."""
        return {} if self._latest is None else {"perplexity": self.ranks.mean(self._latest).exp()}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        """Loss (nats a word) and perplexity over the whole of each split."""
        for name, words in self._held_out.items():
            loss = self._score(words)
            yield name, {"loss": loss, "perplexity": loss.exp()}

    @torch.no_grad()
    def _score(self, words: Tensor) -> Tensor:
        state, total = self.network.initial_state(1), torch.zeros((), dtype=torch.float64, device=words.device)
        decoder = self.network.decoder
        with self._mode(training=False):
            for start in range(0, len(words) - 1, SCORED_AT_ONCE):
                some = words[start : start + SCORED_AT_ONCE + 1]
                features, state, _ = self.forward[PLAYER](some[:-1, None], state)
                total += token_losses(features.flatten(0, 1), decoder.weight, decoder.bias, some[1:]).double().sum()
        return total / (len(words) - 1)

    # --------------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """With the state in which the next batch begins."""
        return super().state_dict() | {"state": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        own, saved = self._next, state["state"]
        if [t.shape for t in own] != [t.shape for t in saved]:
            raise ValueError("the recurrent state is another model's, or of another batch size")
        super().load_state_dict(state)
        self._next = [tensor.to(self.settings.device, copy=True) for tensor in saved]

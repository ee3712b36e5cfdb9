"""Recurrent language models: words in, features of every position out; the decoder belongs to the softmax.

A model for `lookahead_bench.tasks.language_model` is made of the size of the vocabulary and has

    forward(words [T, B], state) -> features [T, B, E], state after them, penalty
    decoder                      -> nn.Linear(E, vocabulary): features to logits
    initial_state(B)             -> zeros, a list of tensors

The penalty is a number that is added to the training loss. On CUDA an LSTM is cuDNN's, on a processor oneDNN's.
"""

from __future__ import annotations

import warnings
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = list[Tensor]

# Weights that are dropped in every forward pass cannot lie where cuDNN wants them.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")


class LSTM(nn.Module):
    """Embedding, LSTM, decoder.

    vocabulary: words; layers, width: of the LSTM and the embedding; dropout: of the embedded words, between layers and
    of the features, in [0, 1); tied: the decoder's weight is the embedding's. Every weight begins in
    [-initial, initial].
    Parameters: (1 or 2) vocabulary width + vocabulary + layers (8 width^2 + 8 width).
    Source: Zaremba, Sutskever, Vinyals 2014 (arXiv 1409.2329), section 4.1, the small and the medium model.
    """

    def __init__(self, vocabulary: int, *, layers: int, width: int, dropout: float, tied: bool, initial: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, dropout=dropout if layers > 1 else 0.0)
        self.decoder = nn.Linear(width, vocabulary)
        self.dropout = dropout
        if tied:
            self.decoder.weight = self.embedding.weight
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -initial, initial)

    def initial_state(self, batch_size: int) -> State:
        shape = self.lstm.num_layers, batch_size, self.lstm.hidden_size
        return [self.decoder.weight.new_zeros(shape) for _ in range(2)]

    def forward(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        embedded = F.dropout(self.embedding(words), self.dropout, self.training)
        hidden, cell = same_dtype(state, self.decoder.weight)
        features, after = self.lstm(embedded, (hidden, cell))
        return F.dropout(features, self.dropout, self.training), list(after), features.new_zeros(())


class Recurrent(nn.Module):
    """One layer of an LSTM, whose recurrent weights are dropped: the same ones at every position of a batch."""

    def __init__(self, inputs: int, width: int, drop: float) -> None:
        super().__init__()
        self.width, self.drop = width, drop
        self.weight_ih = nn.Parameter(torch.empty(4 * width, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * width, width))
        self.bias_ih = nn.Parameter(torch.empty(4 * width))
        self.bias_hh = nn.Parameter(torch.empty(4 * width))
        for parameter in self.parameters():  # as torch's own
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dropped = F.dropout(self.weight_hh, self.drop, self.training)
        weights = [self.weight_ih, dropped, self.bias_ih, self.bias_hh]
        return torch.lstm(inputs, (hidden, cell), weights, True, 1, 0.0, self.training, False, False)


class AWDLSTM(nn.Module):
    """LSTM with dropped recurrent weights, locked dropout, and dropped words.

    vocabulary: words; layers, width: of the LSTM, whose last layer is as wide as the embedding where the decoder is
    tied; embedding: of a word; tied: the decoder's weight is the embedding's. All dropouts are in [0, 1):
    weight_drop: of the recurrent weights; word_drop: of whole words of the vocabulary; input_dropout, hidden_dropout,
    output_dropout: of the embedded words, between layers and of the features, one mask for all positions ("locked").
    activation_penalty, temporal_penalty: coefficients (alpha, beta) of the mean squares of the features and of the
    change of the last layer's output from one position to the next.
    Source: Merity, Keskar, Socher 2018 (arXiv 1708.02182); github:salesforce/awd-lstm-lm.
    """

    def __init__(
        self, vocabulary: int, *, layers: int, width: int, embedding: int, tied: bool, weight_drop: float,
        word_drop: float, input_dropout: float, hidden_dropout: float, output_dropout: float,
        activation_penalty: float, temporal_penalty: float,
    ) -> None:  # fmt: skip
        super().__init__()
        last = embedding if tied else width
        widths = [embedding, *[width] * (layers - 1), last]
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers = nn.ModuleList(Recurrent(inputs, outputs, weight_drop) for inputs, outputs in pairwise(widths))
        self.decoder = nn.Linear(last, vocabulary)
        if tied:
            self.decoder.weight = self.embedding.weight
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        self.word_drop = word_drop
        self.dropouts = [input_dropout, *[hidden_dropout] * (layers - 1), output_dropout]
        self.activation_penalty, self.temporal_penalty = activation_penalty, temporal_penalty

    def initial_state(self, batch_size: int) -> State:
        """Hidden state and cell of every layer in turn."""
        widths = [layer.get_parameter("weight_hh").shape[1] for layer in self.layers]
        return [self.decoder.weight.new_zeros(1, batch_size, width) for width in widths for _ in range(2)]

    def forward(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        state = same_dtype(state, self.decoder.weight)
        features = locked_dropout(self._embedded(words), self.dropouts[0], self.training)
        after: State = []
        raw = features
        for i, layer in enumerate(self.layers):
            raw, hidden, cell = layer(features, state[2 * i], state[2 * i + 1])
            after += [hidden, cell]
            features = locked_dropout(raw, self.dropouts[i + 1], self.training)
        penalty = self.activation_penalty * features.float().square().mean()
        if len(words) > 1:
            penalty = penalty + self.temporal_penalty * (raw[1:] - raw[:-1]).float().square().mean()
        return features, after, penalty

    def _embedded(self, words: Tensor) -> Tensor:
        """Dropped words are gone wherever they stand in the batch; the others are scaled up."""
        if not self.training or not self.word_drop:
            return F.embedding(words, self.embedding.weight)
        weight = self.embedding.weight
        kept = F.dropout(weight.new_ones(len(weight), 1), self.word_drop)
        return F.embedding(words, weight) * F.embedding(words, kept)


def locked_dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout with one mask [B, E] for every position of values [T, B, E]. Source: Gal, Ghahramani 2016."""
    if not training or not rate:
        return values
    return values * F.dropout(torch.ones_like(values[:1]), rate)


def same_dtype(state: State, like: Tensor) -> State:
    """Under autocast a batch may end in bfloat16, and the next one begins in the parameters' own type."""
    return [tensor.to(like.dtype) for tensor in state]

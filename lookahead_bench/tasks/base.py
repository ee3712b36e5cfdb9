"""What a task is to the trainer and the oracle: players, a stream of batches, losses and scores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Batch = Any
Scores = dict[str, Tensor]  # metric -> a number, or one number a replica (shape [R])


class Task:
    """A joint point, its players' losses, a stream of batches and the scores. Knows no optimizer.

    A concrete task sets, in its constructor, after validating nothing (the configuration is validated before):

    players            {name: parameters}, in the order in which the players are named in the YAML
    replicas           R; with R > 1 every parameter and every loss has a leading dimension R, one entry a replica
    batches_per_epoch  None where there is no data set to go through
    samples_per_batch  samples that one batch of one replica holds (1 for a deterministic problem)

    Everything random is a pure function of (seed, purpose, position), so nothing random is ever saved.
    """

    players: dict[str, list[nn.Parameter]]
    replicas: int = 1
    batches_per_epoch: int | None = None
    samples_per_batch: int = 1
    constraint: Callable[[list[Tensor]], None] | None = None  # the set that the joint point must stay in
    has_dropout: bool = False  # draws from torch's global generator, which the oracle then seeds for each evaluation
    every_step: bool = False  # toy tasks: a training row at every step up to 1,000, thinned evenly beyond

    def batch(self, draw: int) -> Batch:
        """The draw-th batch (0, 1, 2, ...) of the training stream; depends on the seed and `draw` only."""
        raise NotImplementedError

    def losses(self, batch: Batch, players: Sequence[str]) -> dict[str, Tensor]:
        """The loss of each named player at the current point, shape [] (or [R] where replicas > 1)."""
        raise NotImplementedError

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Add each player's gradient of its own loss to `.grad` of its own parameters, and of no others.

        Tasks whose operator is known in closed form override this and need no autograd graph.
        """
        last = len(losses) - 1
        for i, (player, loss) in enumerate(losses.items()):
            loss.sum().backward(inputs=self.players[player], retain_graph=i < last)

    def train_metrics(self) -> Scores:
        """Metrics of a training row beside the losses. Called only when a row is due, after the step."""
        return {}

    def evaluate(self) -> Iterator[tuple[str, Scores]]:
        """Scores of the current weights: (split, metrics) for each split that the task reports, the one for choosing
        first ("val", then "test"). A generator: between the first and the last evaluation only the first is asked."""
        raise NotImplementedError

    def restored_statistics(self, reestimate: bool) -> contextlib.AbstractContextManager[None]:
        """For scoring: evaluation mode; with `reestimate`, BatchNorm statistics estimated anew for the weights that
        are in place. On exit every mode and buffer is what it was, bit for bit."""
        return contextlib.nullcontext()

    def frozen_statistics(self, frozen: bool) -> contextlib.AbstractContextManager[None]:
        """While `frozen`, a forward pass in training mode leaves the running statistics as they are."""
        return contextlib.nullcontext()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers of all players, loadable with weights_only=True."""
        return {name: [p.detach() for p in params] for name, params in self.players.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy back what `state_dict` gave, in place: optimizers keep pointing at the same parameters."""
        for name, params in self.players.items():
            for parameter, saved in zip(params, state[name], strict=True):
                parameter.copy_(saved)

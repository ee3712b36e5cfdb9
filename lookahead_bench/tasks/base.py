"""What a task is to the trainer and the oracle: players, a stream of batches, losses and scores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.hardware import Settings
from lookahead_bench.seeds import derive

Batch = Any
Scores = dict[str, Tensor]  # metric -> a number, or one number a replica (shape [R])
Picture = np.ndarray[Any, np.dtype[np.uint8]]  # [H, W, 3]
Rows = Callable[[], list[dict[str, Any]]]


class Call(NamedTuple):
    """What the oracle asks of a task in one evaluation of F.

    players  whose losses, in this order
    draw     the number of the batch, which decides everything random: dropout masks and noise too
    fresh    this is the first evaluation on this draw
    first    those of `players` that are evaluated for the first time in this step: their running statistics move, and
             the training row tells of this evaluation
    seed     of the run (with replicas, of the first one)
    """

    players: tuple[str, ...]
    draw: int
    fresh: bool
    first: tuple[str, ...]
    seed: int

    def stream(self, purpose: str) -> int:
        """The seed of what this draw needs for one purpose of `lookahead_bench.seeds`."""
        return derive(self.seed, purpose, self.draw)


class Task:
    """A joint point, its players' losses, a stream of batches and the scores. Knows no optimizer.

    A concrete task sets, in its constructor, after validating nothing (the configuration is validated before):

    players            {name: parameters}, in the order in which the players are named in the YAML
    replicas           R; with R > 1 every parameter and every loss has a leading dimension R, one entry a replica
    batches_per_epoch  None where there is no data set to go through
    samples_per_batch  samples that one batch of one replica holds (1 for a deterministic problem)
    settings           how a network is computed; None for a few numbers, which any machine's defaults suit
    batch_dim          the dimension of every tensor of a batch along which the samples lie, where losses are means over
                       them, so that several processes can share a batch; None: they cannot

    Everything random is a pure function of (seed, purpose, position), so nothing random is ever saved.
    """

    per_replica: ClassVar[tuple[str, ...]] = ()  # its constants that are handed over as a list, one value a replica

    players: dict[str, list[nn.Parameter]]
    replicas: int = 1
    batches_per_epoch: int | None = None
    samples_per_batch: int = 1
    settings: Settings | None = None
    batch_dim: ClassVar[int | None] = None
    constraint: Callable[[list[Tensor]], None] | None = None  # the set that the joint point must stay in
    every_step: bool = False  # toy tasks: a training row at every step up to 1,000, thinned evenly beyond

    def epoch(self, draws: int) -> float:
        """How often the data has been gone through after so many draws; 0 where there is none."""
        return draws / self.batches_per_epoch if self.batches_per_epoch else 0.0

    def rate(self, draw: int) -> float:
        """What the learning rates are multiplied by in the step that begins with this batch."""
        return 1.0

    def samples(self, draws: int) -> int:
        """How many samples one replica has seen after so many draws."""
        return draws * self.samples_per_batch

    def batch(self, draw: int) -> Batch:
        """The draw-th batch (0, 1, 2, ...) of the training stream; depends on the seed and `draw` only."""
        raise NotImplementedError

    def losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        """The loss of each of the call's players at the current point, shape [] (or [R] where replicas > 1)."""
        raise NotImplementedError

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Add each player's gradient of its own loss to `.grad` of its own parameters, and of no others.

        Tasks whose operator is known in closed form override this and need no autograd graph.
        """
        last = len(losses) - 1
        for i, (player, loss) in enumerate(losses.items()):
            loss.sum().backward(inputs=self.players[player], retain_graph=i < last)

    def train_metrics(self, draws: int) -> Scores:
        """Metrics of a training row beside the losses, after so many draws. Asked after a step, where a row is due."""
        return {}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        """Scores of the current weights: (split, metrics) for each split that the task reports, the one for choosing
        first ("val", then "test"). A generator: between the first and the last evaluation only the first is asked."""
        raise NotImplementedError

    def pictures(self, position: Mapping[str, Any], final: bool, rows: Rows) -> Iterable[tuple[str, Picture]]:
        """(name, picture) pairs of the weights that are in place, at an evaluation; each becomes samples/NAME.png.

        position: of the evaluation's rows (`step`, `weights`, ...), for names that tell pictures apart; final: this is
        the run's first or last evaluation; rows: all of the run's rows so far.
        """
        return ()

    def restored_statistics(self, reestimate: bool) -> contextlib.AbstractContextManager[None]:
        """For scoring: evaluation mode; with `reestimate`, BatchNorm statistics estimated anew for the weights that
        are in place. On exit every mode and buffer is what it was, bit for bit."""
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

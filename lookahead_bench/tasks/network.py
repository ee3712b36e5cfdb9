"""What every task of neural networks shares: initialisation, modes, buffers, replicas, state, what draws at random."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from lookahead_bench.errors import ConfigError
from lookahead_bench.hardware import Machine, Settings
from lookahead_bench.models.stacked import forward, stack
from lookahead_bench.seeds import derive
from lookahead_bench.tasks.base import Batch, Call, Task

Networks = dict[str, nn.Module]  # player -> its network


class NetworkTask(Task):
    """Players that are neural networks; a subclass says data, losses, scores, and what re-estimates BatchNorm.

    make     gives each player's network, built on the CPU; called once for every seed
    work     multiply-adds of one evaluation's forward passes, given what `make` gave; see `multiply_adds`
    seeds    0 <= seed < 2^32, one a replica, whose networks are one program
    dtype    of the parameters
    machine  where the networks are computed

    networks  {player: network}, with replicas stacked; scores and statistics call `forward[player](...)`, losses call
              `training_forward[player](...)`, which is compiled where that pays
    players   of every network the parameters that require gradients: the others stay as they are

    Running statistics, spectral norm's vectors and all other buffers of a player's network move in the player's first
    evaluation of a step, and stay put in every other one. What a forward pass draws from torch's generators (dropout)
    is a function of (seed, draw).
    Errors: ValueError for replicas of networks with buffers.
    """

    network_arguments: ClassVar[tuple[str, ...]] = ("in_shape", "classes")  # what a model's class is handed
    settings: Settings
    fused = True  # whether the optimizer's step may be torch's fused one, which rounds otherwise
    compiled = True  # whether torch.compile may be of use to its networks

    def __init__(
        self, make: Callable[[], Networks], work: Callable[[Networks], float], *, seeds: Sequence[int],
        dtype: torch.dtype, machine: Machine,
    ) -> None:  # fmt: skip
        drawn = [_initialised(make, seed) for seed in seeds]
        convolutional = any(
            isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for net in drawn[0].values() for module in net.modules()
        )
        work_of_all = len(seeds) * work(drawn[0])
        self.settings = settings = machine.settle(
            work=work_of_all, convolutional=convolutional, fused=self.fused, compiled=self.compiled
        )
        if settings.channels_last:
            drawn = [
                {player: net.to(memory_format=torch.channels_last) for player, net in each.items()} for each in drawn
            ]
        self.replicas = len(seeds)
        self.networks: Networks = {
            player: (net if len(seeds) == 1 else stack([each[player] for each in drawn])).to(settings.device, dtype)
            for player, net in drawn[0].items()
        }
        self.ranks = machine.ranks
        if self.ranks.size > 1:  # statistics over the whole batch
            self.networks = {p: nn.SyncBatchNorm.convert_sync_batchnorm(net) for p, net in self.networks.items()}
        self.forward: dict[str, Callable[..., Any]] = {
            player: net if len(seeds) == 1 else partial(forward, net) for player, net in self.networks.items()
        }
        self.training_forward = (
            {player: torch.compile(f) for player, f in self.forward.items()} if settings.compile else self.forward
        )
        self.players = {
            player: [p for p in net.parameters() if p.requires_grad] for player, net in self.networks.items()
        }

    def network_losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        """The loss of each of the call's players, as `losses` gives them."""
        raise NotImplementedError

    def statistics_passes(self) -> None:
        """The forward passes over training data that BatchNorm's statistics are estimated from."""
        raise NotImplementedError

    def losses(self, batch: Batch, call: Call) -> dict[str, Tensor]:
        self._seed_generators(call.stream("dropout"))
        still = [network for player, network in self.networks.items() if player not in call.first]
        with _buffers_set_aside(still), self._nothing_drawn():
            return self.network_losses(batch, call)

    @contextlib.contextmanager
    def _nothing_drawn(self) -> Iterator[None]:
        """Where processes share a batch: what one of them draws is not its part of what one process draws for all.

        Errors: ConfigError.
        """
        if self.ranks.size == 1:
            yield
            return
        before = self._generator_states()
        yield
        if any(not torch.equal(one, other) for one, other in zip(before, self._generator_states(), strict=True)):
            raise ConfigError(
                f"gpu.processes={self.ranks.size}: the network draws random numbers (dropout), and processes that "
                "share a batch would draw others than one does; switch them off, or use gpu=auto"
            )

    def _generators(self) -> list[torch.Generator]:
        """The CPU's, and that of the networks' own GPU."""
        device = next(iter(self.players.values()))[0].device
        own = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
        return [torch.default_generator, *own]

    def _seed_generators(self, seed: int) -> None:
        """Not torch.manual_seed, which would reseed every GPU."""
        for one in self._generators():
            one.manual_seed(seed)

    def _generator_states(self) -> list[Tensor]:
        return [one.get_state() for one in self._generators()]

    # ------------------------------------------------------------------------------------------------------- scoring

    @contextlib.contextmanager
    def restored_statistics(self, reestimate: bool) -> Iterator[None]:
        with _buffers_set_aside(self.networks.values()):
            if reestimate:
                self._estimate_statistics()
            with self._mode(training=False):
                yield

    @torch.no_grad()
    def _estimate_statistics(self) -> None:
        """Means over the batch statistics of `statistics_passes`."""
        normalised = [m for net in self.networks.values() for m in net.modules() if isinstance(m, _BatchNorm)]
        if not normalised:
            return
        momenta = [module.momentum for module in normalised]
        for module in normalised:
            module.reset_running_stats()
            module.momentum = None  # cumulative average
        try:
            with self._mode(training=True):
                self.statistics_passes()
        finally:
            for module, momentum in zip(normalised, momenta, strict=True):
                module.momentum = momentum

    @contextlib.contextmanager
    def _mode(self, training: bool) -> Iterator[None]:
        before = [(network, network.training) for network in self.networks.values()]
        for network in self.networks.values():
            network.train(training)
        try:
            yield
        finally:
            for network, mode in before:
                network.train(mode)

    # --------------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        return {player: _tensors(network) for player, network in self.networks.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy back in place what `state_dict` gave. Errors: ValueError for another network's; nothing has changed."""
        pairs = [(_tensors(network), state.get(player, {})) for player, network in self.networks.items()]
        for own, saved in pairs:
            wrong = [name for name in own.keys() | saved.keys() if _shape(own, name) != _shape(saved, name)]
            if wrong:
                name = min(wrong)
                raise ValueError(f"{name}: the network has shape {_shape(own, name)}, the state {_shape(saved, name)}")
        for own, saved in pairs:
            for name, tensor in own.items():
                tensor.copy_(saved[name])


def multiply_adds(network: nn.Module, *inputs: Tensor) -> float:
    """Of one forward pass in evaluation mode, as torch counts them: matrix products, convolutions, attention.

    An LSTM's fused kernel on a CPU counts as none; a task with one says its own number.
    """
    mode = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    network.train(mode)
    return float(counter.get_total_flops()) / 2


def _initialised(make: Callable[[], Networks], seed: int) -> Networks:
    with torch.random.fork_rng(devices=[]):
        # Only the CPU's generator: torch.manual_seed would reseed every GPU, whose states are not put back.
        torch.default_generator.manual_seed(derive(seed, "init"))
        return make()


@contextlib.contextmanager
def _buffers_set_aside(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Copies stand in for all buffers and take whatever moves, not finite numbers included."""
    modules = (module for network in networks for module in network.modules())
    kept = [(m, name, own) for m in modules for name, own in m._buffers.items() if own is not None]
    for module, name, own in kept:
        module._buffers[name] = own.clone()
    try:
        yield
    finally:
        for module, name, own in kept:
            module._buffers[name] = own


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in [*network.named_parameters(), *network.named_buffers()]}


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None

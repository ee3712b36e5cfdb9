"""What every operator on optimizers shares: one `step`, the base's own groups and state, checkpoints, its checks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from itertools import zip_longest
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from lookahead_bench.composition import ORDER, place
from lookahead_bench.ranges import require

Closure = Callable[..., Any]
SCHEDULERS = ("step", "_opt_called", "_born")  # what torch's schedulers leave in an optimizer's __dict__, and our own


def absent(parameter: Tensor) -> None:
    """Enters a parameter whose memory is not there yet."""


def chain(optimizer: Optimizer) -> Iterator[Optimizer]:
    """The optimizer and everything inside it, outermost first; the last is no wrapper."""
    while isinstance(optimizer, Wrapper):
        yield optimizer
        optimizer = optimizer.base
    yield optimizer


def level_of(optimizer: Optimizer) -> float:
    """The level at which an optimizer stands in its chain; infinity for one that is no wrapper."""
    held = place(optimizer.level, level_of(optimizer.base)) if isinstance(optimizer, Wrapper) else math.inf
    assert held is not None  # the constructor has seen to that
    return held


def tell(optimizer: Optimizer, cost: float) -> None:
    """Tell every wrapper of the chain of a score, turned so that less is better; nan where there is none."""
    for each in chain(optimizer):
        if isinstance(each, Wrapper):
            each.observe(cost)


def closure_calls(optimizer: Optimizer) -> int:
    """How often a step calls its closure, if the innermost optimizer calls it once."""
    return optimizer.evaluations * closure_calls(optimizer.base) if isinstance(optimizer, Wrapper) else 1


class Wrapper(Optimizer):
    """An optimizer around another: `param_groups`, `state` and `defaults` are the base's own objects, always.

    A subclass overrides `_update` (never `step`: torch wraps `step` once for every class that defines it, and hooks
    would fire twice), hands its constructor's arguments on to this one, which makes attributes of them, and says what
    it keeps:

        counters    integers that a checkpoint carries
        numbers     lists of floats that a checkpoint carries, empty at first
        tensors     tensor lists that a checkpoint carries: the attribute is None or a list in parameter order, and the
                    function says how a parameter enters that is added later

    Facts of the class are plain literals, since they are also read from the source where torch must not load:

        level               its place in the order of composition, or several (`lookahead_bench.composition`); required
        ranges              argument -> what it may be, a sentence of `lookahead_bench.ranges`
        nests               it may stand in itself, and a list for an argument means one value a layer
        projects_outside    a task's constraint that no Projected asks for is put around it, not around the base
        elementwise         it acts on every number by itself, so that replicas in one tensor do not mix; unless a class
                            says so, replicas are refused
        per_parameter       settings that may become a list, one number for each parameter, once the wrapper is there

    Global step hooks (`torch.optim.optimizer.register_optimizer_step_*`) fire for every optimizer of the chain.

    Args:
        base: any torch optimizer, at a place that the order of composition allows.
        settings: the subclass's own arguments.

    Raises:
        TypeError: `base` is no optimizer, the class has no level, or it keeps an argument that has a range to itself.
        ValueError: the order of composition is broken, or a setting is outside of its range.
    """

    level: ClassVar[int | tuple[int, ...]]
    ranges: ClassVar[Mapping[str, str]] = {}
    nests: ClassVar[bool] = False
    projects_outside: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    per_parameter: ClassVar[tuple[str, ...]] = ()

    counters: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()
    tensors: ClassVar[Mapping[str, Callable[[Tensor], Tensor | None]]] = {}
    settings: tuple[str, ...]
    base: Optimizer

    def __init__(self, base: Optimizer, **settings: Any) -> None:
        name = type(self).__name__
        if not isinstance(base, Optimizer):
            raise TypeError(f"{name} wraps a torch.optim.Optimizer, got a {type(base).__name__}")
        if not hasattr(self, "level"):
            raise TypeError(f"{name} has no `level`: set its place on the class; {ORDER}")
        if place(self.level, level_of(base)) is None:
            raise ValueError(f"{type(base).__name__} cannot stand inside {name}: {ORDER}")
        for setting, text in self.ranges.items():
            if setting not in settings:
                raise TypeError(f"{name} has a range for {setting}: hand it on, super().__init__(base, {setting}=...)")
            require(text, setting, settings[setting])
        super().__init__(base.param_groups, base.defaults)
        self.base = base
        self.settings = tuple(settings)
        for setting, value in settings.items():
            setattr(self, setting, value)
        for counter in self.counters:
            setattr(self, counter, 0)
        for name in self.numbers:
            setattr(self, name, [])
        for name in self.tensors:
            setattr(self, name, None)
        self._born = tuple(vars(self))

    # -- one optimizer to the outside -----------------------------------------------------------------------------

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """One step of the method; returns the first loss.

        Args:
            closure: evaluates the loss and fills `.grad`; called, with gradients enabled, as often as the method
                needs gradients.
        """
        return self._update(None if closure is None else torch.enable_grad()(closure))

    def _update(self, closure: Closure | None) -> Any:
        raise NotImplementedError

    def observe(self, cost: float) -> None:
        """Told after every evaluation between the first and the last: the score, turned so that less is better."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.base.zero_grad(set_to_none)

    def parameters(self) -> list[Tensor]:
        """All parameters, group by group: the order of every list that a wrapper keeps."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def evaluation(self) -> str:
        """The kind of weights that it keeps for evaluation; "fast": none beside the parameters."""
        return "fast"

    def evaluation_point(self) -> list[Tensor] | None:
        """The weights to evaluate, in parameter order; None where they are the parameters themselves."""
        return None

    @property
    def period(self) -> int:
        """Steps from one sync to the next; 1 where nothing syncs."""
        return self.base.period if isinstance(self.base, Wrapper) else 1

    @property
    def evaluations(self) -> int:
        """How many evaluations a step makes where a step of the base makes one."""
        return 1

    # The setters write nowhere while torch's constructor runs: what it would reset is the base's.

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.base.param_groups

    @param_groups.setter
    def param_groups(self, value: list[dict[str, Any]]) -> None:
        if "base" in self.__dict__:
            self.base.param_groups = value

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        return self.base.state

    @state.setter
    def state(self, value: defaultdict[Tensor, Any]) -> None:
        if "base" in self.__dict__:
            self.base.state = value

    @property
    def defaults(self) -> dict[str, Any]:
        return self.base.defaults

    @defaults.setter
    def defaults(self, value: dict[str, Any]) -> None:
        if "base" in self.__dict__:
            self.base.defaults = value

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, in the middle of a cycle too: they enter with what they are now."""
        if "base" not in self.__dict__:
            return  # torch's constructor; the base has its groups
        self.base.add_param_group(param_group)
        added = self.param_groups[-1]["params"]
        for name, enter in self.tensors.items():
            kept = getattr(self, name)
            if kept is not None:
                kept.extend(enter(p) for p in added)

    def __getstate__(self) -> dict[str, Any]:
        # Never the whole __dict__: a learning-rate scheduler leaves a bound method in it.
        self._require_declared()
        return {name: getattr(self, name) for name in self._kept()}

    def _kept(self) -> tuple[str, ...]:
        return ("base", "settings", "_born", *self.settings, *self.counters, *self.numbers, *self.tensors)

    def _require_declared(self) -> None:
        """State that is nowhere declared would be lost on a resume, without a word."""
        if undeclared := sorted(vars(self).keys() - {*self._born, *self._kept(), *SCHEDULERS}):
            raise TypeError(
                f"{type(self).__name__} keeps {undeclared[0]!r}, which no checkpoint carries: declare it in `counters` "
                "(an integer), `numbers` (floats) or `tensors` (one for each parameter), or hand it on as a setting"
            )

    def __repr__(self) -> str:
        settings = "".join(f", {name}={getattr(self, name)!r}" for name in self.settings)
        base = repr(self.base).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {base}{settings}\n)"

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The innermost optimizer's own dict plus `wrappers`: one entry per wrapper, innermost first.

        An entry holds the wrapper's `kind`, its counters and its tensors (None, or a list in parameter order). As in
        torch, the tensors are the live ones and the constructor's settings are not in it.
        """
        self._require_declared()
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        entry: dict[str, Any] = {"kind": type(self).__name__}
        entry |= {name: getattr(self, name) for name in self.counters}
        entry |= {name: list(getattr(self, name)) for name in self.numbers}
        for name in self.tensors:
            kept = getattr(self, name)
            entry[name] = None if kept is None else list(kept)
        inner = self.base.state_dict()
        state = {**inner, "wrappers": [*inner.get("wrappers", []), entry]}
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            result = post_hook(self, state)
            state = state if result is None else result
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Resume bit for bit. Everything is checked before anything changes; the argument is copied from, not kept.

        Raises:
            ValueError: the state is another chain's, or its tensors do not fit the parameters.
        """
        state = dict(state_dict)
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            result = pre_hook(self, state)
            state = state if result is None else dict(result)
        self._check_state(state)
        entries = state.pop("wrappers")
        if isinstance(self.base, Wrapper):
            self.base.load_state_dict({**state, "wrappers": entries[:-1]})
        else:
            self.base.load_state_dict(deepcopy(state))  # torch would alias the tensors that need no cast
        self._load_entry(entries[-1])
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        ours = [type(o).__name__ for o in chain(self)][-2::-1]
        saved = state.get("wrappers")
        mappings = isinstance(saved, list) and all(isinstance(entry, Mapping) for entry in saved)
        kinds = [entry.get("kind") for entry in saved] if saved is not None and mappings else None
        if kinds != ours:
            raise ValueError(
                f"the saved wrappers, innermost first, are {kinds}, these are {ours}: "
                "build the optimizer that the state was saved from"
            )
        assert saved is not None
        if not isinstance(state.get("state"), Mapping):
            raise ValueError("the saved state has no 'state': it is no state_dict of an optimizer")
        lengths = [(len(g["params"]), len(s["params"])) for g, s in self._matched_groups(state)]
        if any(mine != theirs for mine, theirs in lengths):
            raise ValueError(f"parameter groups have (here, saved) {lengths} parameters: build the same model")
        for wrapper, entry in zip(chain(self), reversed(saved), strict=False):
            assert isinstance(wrapper, Wrapper)
            wrapper._check_entry(entry)

    def _matched_groups(self, state: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        nothing: dict[str, Any] = {"params": []}
        return list(zip_longest(self.param_groups, state.get("param_groups", []), fillvalue=nothing))

    def _check_entry(self, entry: Mapping[str, Any]) -> None:
        where = f"saved state of {type(self).__name__}"
        expected = {"kind", *self.counters, *self.numbers, *self.tensors}
        if set(entry) != expected:
            raise ValueError(f"{where}: it has {sorted(entry)}, expected {sorted(expected)}")
        for name in self.counters:
            require("an integer >= 0", f"{where}: {name}", entry[name])
        for name in self.numbers:
            require("a list", f"{where}: {name}", entry[name])
        parameters = self.parameters()
        for name, enter in self.tensors.items():
            kept = entry[name]
            if kept is None:
                continue
            if not isinstance(kept, list | tuple) or len(kept) != len(parameters):
                raise ValueError(f"{where}: {name} must be None or one tensor per parameter ({len(parameters)})")
            for i, (tensor, p) in enumerate(zip(kept, parameters, strict=True)):
                if tensor is None and enter is absent:
                    continue
                if not isinstance(tensor, Tensor) or tensor.shape != p.shape:
                    found = tuple(tensor.shape) if isinstance(tensor, Tensor) else tensor
                    raise ValueError(f"{where}: {name}[{i}] must have shape {tuple(p.shape)}, got {found}")

    @torch.no_grad()
    def _load_entry(self, entry: Mapping[str, Any]) -> None:
        for name in self.counters:
            setattr(self, name, entry[name])
        for name in self.numbers:
            setattr(self, name, list(entry[name]))
        for name in self.tensors:
            kept = entry[name]
            if kept is not None:
                kept = [
                    None if tensor is None else torch.empty_like(p, requires_grad=False).copy_(tensor)
                    for tensor, p in zip(kept, self.parameters(), strict=True)
                ]
            setattr(self, name, kept)

"""A checked configuration -> the parts that it names: task, chain of optimizers, schedule, settings of the machine."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch.nn import Parameter
from torch.optim import Optimizer

from lookahead_bench.configuration import targets
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.targets import nearest, parameters_of, takes_anything
from lookahead_bench.errors import ConfigError
from lookahead_bench.optim import Projected, Wrapper

log = logging.getLogger("lookahead_bench")

NOT_ARGUMENTS = ("name", ABOUT, "_target_", "base", "wrappers")  # of a node; every other key is one

Player = str
Arguments = dict[str, Any]


def build_optimizer(
    node: Mapping[str, Any],
    players: Mapping[Player, Sequence[Parameter]],
    *,
    constraint: Callable[..., None] | None = None,
    order: Sequence[Sequence[Player]] | None = None,
    user_keys: Collection[str] = (),
    fused: bool | None = None,
) -> Optimizer:
    """Build `node["base"]` over one parameter group per player, and around it `node["wrappers"]`, innermost first.

    Every class is filled from the node's top-level keys that its signature has; what stands in its own node wins, and
    null leaves the class's default. A key that a wrapper takes is not the base's (RMSprop has an `alpha` too).

    Args:
        node: an optimizer YAML, resolved.
        players: parameters by player.
        constraint: the task's set, for the wrappers that take one; a chain without any gets a Projected where the
            wrappers want it (`projects_outside`), else around the base.
        order: the task's order of players, for the wrappers that take one and whose own is null.
        user_keys: top-level keys that the user set; one that nothing takes is refused, where a default is dropped
            with a notice.
        fused: True asks for torch's fused kernels where the class has them; None leaves the choice to torch.

    Raises:
        ConfigError: one line with key, value, rule and remedy.
    """
    node = _plain(node)
    top = {key: value for key, value in node.items() if key not in NOT_ARGUMENTS and value is not None}
    wrappers = [_wrapper(f"optimizer.wrappers[{i}]", w) for i, w in enumerate(node.get("wrappers") or [])]
    takes_constraint = any("constraint" in parameters_of(cls) for cls, _, _ in wrappers)
    if constraint is not None and not takes_constraint:
        place = next((i + 1 for i, (cls, _, _) in enumerate(wrappers) if cls.projects_outside), 0)
        wrappers.insert(place, (Projected, {}, "optimizer.wrappers"))
    claimed = {key for cls, _, _ in wrappers for key in parameters_of(cls)}
    offered = {name: value for name, value in (("constraint", constraint), ("order", order)) if value is not None}

    optimizer, taken = _base(node.get("base"), {k: v for k, v in top.items() if k not in claimed}, players, fused)
    for cls, own, key in wrappers:
        known = parameters_of(cls)
        arguments = {k: v for k, v in (offered | top).items() if k in known} | own
        if "constraint" in known.keys() - arguments.keys():
            raise ConfigError(f"{key}._target_={cls.__name__}: the task has no constraint; leave the wrapper out")
        for layer in _layers(arguments) if cls.nests else [arguments]:
            optimizer = _construct(key, cls, optimizer, {k: _typed(k, v, known.get(k)) for k, v in layer.items()})

    for name in sorted(set(top) - claimed - taken):
        path = node["base"]["_target_"]
        if name in user_keys:
            raise ConfigError(f"optimizer.{name}={top[name]}: {path} has no argument {name!r}; leave it out")
        log.warning("optimizer.%s=%s is left out: %s has no argument %r", name, top[name], path, name)
    return optimizer


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value


def _wrapper(key: str, node: Any) -> tuple[type[Wrapper], Arguments, str]:
    return *_target(key, node, targets.WRAPPER), key


def _target(key: str, node: Any, kind: targets.Kind) -> tuple[type[Any], Arguments]:
    """The class of a node and the arguments that stand in it."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(f"{key}={node}: must be a mapping with a _target_, such as {{_target_: torch.optim.SGD}}")
    cls = targets.load(f"{key}._target_", node["_target_"], kind)
    own = {k: v for k, v in node.items() if k != "_target_" and v is not None}
    known = parameters_of(cls)
    for name, value in own.items():
        if name not in known and not takes_anything(cls):
            raise ConfigError(
                f"{key}.{name}={value}: {cls.__name__} has no argument {name!r}{nearest(name, known)} "
                f"(it has {', '.join(known)})"
            )
    return cls, own


def _base(
    node: Any, top: Arguments, players: Mapping[Player, Sequence[Parameter]], fused: bool | None
) -> tuple[Optimizer, set[str]]:
    """The innermost optimizer, and the top-level keys that it took."""
    key = "optimizer.base"
    cls, own = _target(key, node, targets.OPTIMIZER)
    if issubclass(cls, Wrapper):
        raise ConfigError(f"{key}._target_={node['_target_']}: wraps an optimizer; it belongs into optimizer.wrappers")
    known = parameters_of(cls)
    taken = {k for k in top if k in known}
    arguments = {k: v for k, v in top.items() if k in known} | own
    if fused is not None and "fused" in known and cls.__module__.startswith("torch.optim"):
        arguments.setdefault("fused", fused)

    groups: list[dict[str, Any]] = [{"params": list(params), "player": name} for name, params in players.items()]
    for name, value in arguments.items():
        where = f"{key if name in own else 'optimizer'}.{name}"
        if isinstance(value, dict):
            if set(value) != set(players):
                raise ConfigError(f"{where}={value}: must have one value for each player ({', '.join(players)})")
            for group in groups:
                group[name] = _typed(where, value[group["player"]], known.get(name))
            arguments[name] = groups[0][name]  # the default, which no group uses; some classes demand it
        else:
            arguments[name] = _typed(where, value, known.get(name))
    return _construct(key, cls, groups, arguments), taken


def _layers(arguments: Arguments) -> list[Arguments]:
    """One set of arguments per layer, innermost first: lists are spread over the layers, numbers shared."""
    lists = {k: v for k, v in arguments.items() if isinstance(v, list)}
    if not lists:
        return [arguments]
    lengths = {len(v) for v in lists.values()}
    if len(lengths) > 1 or lengths == {0}:
        shown = ", ".join(f"optimizer.{k}={v}" for k, v in lists.items())
        raise ConfigError(f"{shown}: lists must be of one length, the number of layers, and not empty")
    return [{**arguments, **{k: v[i] for k, v in lists.items()}} for i in range(lengths.pop())]


def _typed(key: str, value: Any, parameter: inspect.Parameter | None) -> Any:
    """The value as its argument wants it: floats for floats (YAML has 0 for 0.0), tuples for tuples."""
    if parameter is None:
        return value
    wants_floats = "float" in str(parameter.annotation) or _has_float(parameter.default)
    if isinstance(value, list) and isinstance(parameter.default, tuple):
        if len(value) != len(parameter.default):
            raise ConfigError(f"{key}={value}: must have {len(parameter.default)} values, as {parameter.default}")
        return tuple(_number(key, v) if wants_floats else v for v in value)
    if isinstance(parameter.default, float) or (wants_floats and _is_int(value)):
        return _number(key, value)
    return value


def _has_float(default: Any) -> bool:
    return isinstance(default, float) or (isinstance(default, tuple) and any(isinstance(v, float) for v in default))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(key: str, value: Any) -> float:
    if not isinstance(value, float) and not _is_int(value):
        raise ConfigError(f"{key}={value}: must be a number")
    return float(value)


def _construct(key: str, cls: type, first: Any, arguments: Arguments) -> Optimizer:
    try:
        optimizer = cls(first, **arguments)
    except Exception as error:
        shown = ", ".join(f"{k}={v}" for k, v in arguments.items())
        raise ConfigError(f"{key}: {cls.__name__}({shown}): {' '.join(str(error).split())}") from error
    assert isinstance(optimizer, Optimizer)
    return optimizer

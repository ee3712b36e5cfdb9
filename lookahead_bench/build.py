"""A checked configuration -> the parts that it names: task, chain of optimizers, schedule, settings of the machine."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer

from lookahead_bench import hardware
from lookahead_bench.bands import Rows, bands_of, merged
from lookahead_bench.configuration import Config, targets
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.targets import names_taken, nearest, parameters_of, takes_anything
from lookahead_bench.configuration.wrappers import Chain
from lookahead_bench.errors import ConfigError
from lookahead_bench.optim import Projected, Wrapper
from lookahead_bench.optim.evaluation import training_mode
from lookahead_bench.ranks import Ranks
from lookahead_bench.runs import processes
from lookahead_bench.schedule import Schedule
from lookahead_bench.tasks.base import Task
from lookahead_bench.tasks.network import NetworkTask

log = logging.getLogger("lookahead_bench")

NOT_ARGUMENTS = ("name", ABOUT, "_target_", "base", "wrappers")  # of a node; every other key is one

DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}  # of the parameters

Player = str
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """What a configuration names, resolved: whatever only the classes themselves can refuse has been refused."""

    config: Config
    task_class: type[Task]
    model: Callable[..., nn.Module] | None
    schedule: Schedule
    machine: hardware.Machine

    def among(self, ranks: Ranks) -> Parts:
        """The same in one of the processes that compute a run together."""
        return replace(self, machine=self.machine.among(ranks))

    def task(self, configs: Sequence[Config]) -> Task:
        """The task for the configurations of all replicas; reads its data. Errors: DataError."""
        offered = {
            **arguments_of(self.config["dataset"]),
            **{key: [one["dataset"][key] for one in configs] for key in self.task_class.per_replica},
            "data": self.config.data,
            "model": self.model,
            "data_dir": self.config["data_dir"],
            "seeds": [one["seed"] for one in configs],
            "dtype": DTYPES[self.config["precision"]],
            "device": self.machine.device,
            "machine": self.machine,
        }
        takes = names_taken(self.task_class)
        task = self.task_class(**{k: v for k, v in offered.items() if k in takes})
        if list(task.players) != self.config["dataset"]["players"]:
            own, said = ", ".join(task.players), ", ".join(self.config["dataset"]["players"])
            raise ConfigError(f"dataset.players=[{said}]: the players of {self.task_class.__name__} are [{own}]")
        return task

    def optimizer(self, task: Task, configs: Sequence[Config], *, fused: bool) -> tuple[Optimizer, Rows | None]:
        """The chain over the task's players; with bands of their own settings, the rows that their groups drive.

        configs: of all replicas.
        """
        bands = bands_of(configs)
        rows = Rows(task.players, [len(band) for band in bands]) if len(bands) > 1 else None
        constraint = rows.whole(task.constraint) if rows else task.constraint
        chains = [
            build_optimizer(
                band[0]["optimizer"], rows.of(b) if rows else task.players, constraint=constraint,
                order=[[name] for name in task.players], user_keys=band[0].user_keys, fused=True if fused else None,
            )
            for b, band in enumerate(bands)
        ]  # fmt: skip
        return merged(chains), rows


def resolve(config: Config) -> Parts:
    """Every class that the configuration names, and a rehearsal of what they make of it, before any data is read.

    Errors: ConfigError.
    """
    task_class = targets.load("dataset._target_", config["dataset"]["_target_"], targets.TASK)
    for key, value in arguments_of(config["dataset"]).items():
        if key != "players" and key not in (takes := names_taken(task_class)):
            raise ConfigError(f"dataset.{key}={value}: {task_class.__name__} takes no {key!r}{nearest(key, takes)}")
    device = hardware.device_of(config["gpu"]["device"], network=issubclass(task_class, NetworkTask))
    if device.type == "cpu" and processes.count(config) > 1 and (config["model"] or {}).get(ABOUT, {}).get("batchnorm"):
        raise ConfigError(
            f"gpu.processes={processes.count(config)}: model={config['model']['name']} has BatchNorm, whose statistics "
            "torch shares between processes on GPUs only; use gpu=cpu, or another model"
        )
    machine = hardware.Machine(config["gpu"], device, config.about.get("train_size", 0) * (config["epochs"] or 0))
    model = model_of(config["model"]) if config["model"] else None
    schedule = schedule_of(config["schedule"])
    rehearse(config)
    return Parts(config, task_class, model, schedule, machine)


def rehearse(config: Config) -> Optimizer:
    """The chain over one small parameter a player. Errors: ConfigError."""
    node, players = config["optimizer"], config["dataset"]["players"]
    projected = any("constraint" in one.arguments for one in Chain.of(node["wrappers"]).wrappers)
    log.disabled = True  # the notices come when the optimizer is built in earnest
    try:
        rehearsed = build_optimizer(
            node, {player: [Parameter(torch.zeros(2, 2))] for player in players}, user_keys=config.user_keys,
            constraint=(lambda parameters: None) if projected else None, order=[[player] for player in players],
        )  # fmt: skip
        rehearsed.state_dict()  # a wrapper refuses to keep what no checkpoint carries
        return rehearsed
    except TypeError as error:
        raise ConfigError(f"optimizer={node['name']}: {error}") from None
    finally:
        log.disabled = False


def calls_a_step(config: Config) -> float:
    """The oracle calls that a step of this optimizer takes, counted on the rehearsal."""
    optimizer = rehearse(config)
    count = 0

    def closure(players: Sequence[Player] = config["dataset"]["players"]) -> torch.Tensor:
        nonlocal count
        count += len(players)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        return torch.zeros(())

    optimizer.step(closure)  # type: ignore[arg-type]  # a tensor is what torch's own closures give as well
    return count / len(config["dataset"]["players"])


def model_of(node: Mapping[str, Any]) -> Callable[..., nn.Module]:
    """What makes the network, given what only the task knows. Errors: ConfigError."""
    return partial(targets.load("model._target_", node["_target_"], targets.MODEL), **arguments_of(node))


def schedule_of(node: Mapping[str, Any]) -> Schedule:
    """The multiplier of the learning rates, a function of progress. Errors: ConfigError."""
    make = targets.load("schedule._target_", node["_target_"], targets.SCHEDULE)
    try:
        schedule: Schedule = make(**arguments_of(node))
        sound = all(math.isfinite(schedule(progress)) and schedule(progress) >= 0 for progress in (0.0, 0.5, 1.0))
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"schedule._target_={node['_target_']}: cannot be used: {words}") from None
    if not sound:
        raise ConfigError(f"schedule={node['name']}: its multiplier becomes negative or not finite; change its keys")
    return schedule


def arguments_of(node: Mapping[str, Any]) -> Arguments:
    """The keys of a node that are arguments of its class."""
    return {key: value for key, value in node.items() if key not in NOT_ARGUMENTS}


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
    training_mode(optimizer)
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

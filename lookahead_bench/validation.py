"""Every check of a composed configuration, before any work. Imports no torch."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lookahead_bench import rules, signature
from lookahead_bench.compose import GROUPS, leaves
from lookahead_bench.errors import ConfigError
from lookahead_bench.messages import show, unknown_key
from lookahead_bench.rules import BUDGETS, Rule
from lookahead_bench.targets import check_target_name, nearest


def validated(composed: DictConfig, defaults: DictConfig, user: frozenset[str]) -> dict[str, Any]:
    """The configuration as plain values, every one checked, the budgets filled in.

    defaults: the same choice of groups without the user's values; user: the keys of `optimizer.` that he set.
    """
    nodes: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    plain: dict[str, Any] = OmegaConf.to_container(defaults, resolve=True)  # type: ignore[assignment]
    nodes.pop("hydra"), plain.pop("hydra")
    nodes.pop("experiment", None)
    for known in (nodes, plain):  # a toy task has no model
        known.setdefault("model", None)

    if nodes["model"] and not knows(nodes["dataset"], "model"):
        raise ConfigError(
            f"model={nodes['model'].get('name')}: dataset={nodes['dataset']['name']} takes no model; leave it out"
        )
    for key in nodes:
        if key not in rules.RUN and key not in GROUPS:
            raise unknown_key(key, show(nodes[key]))
    if str(nodes["precision"]) in ("float16", "fp16", "16", "half", "16-mixed"):
        raise ConfigError(
            f"precision={nodes['precision']}: float16 needs a gradient scaler, and torch's takes no closures, which "
            "extragradient methods call; use precision=bfloat16"
        )
    for key, rule in rules.RUN.items():
        require(rule, key, nodes[key])
    for group in rules.GROUPS:
        check_group(group, nodes[group] or {}, plain[group] or {})
    check_dataset(nodes["dataset"])
    check_optimizer(nodes["optimizer"], plain["optimizer"], nodes["dataset"]["players"], user)
    for group in ("dataset", "model", "schedule"):
        if nodes[group]:
            check_target(f"{group}._target_", nodes[group].get("_target_"))
    check_replicas(nodes)
    if nodes["epochs"] is not None and not knows(nodes["dataset"], "epochs"):
        raise ConfigError(
            f"epochs={nodes['epochs']}: dataset={nodes['dataset']['name']} has no epochs; set max_steps or "
            "max_oracle_calls"
        )
    if all(nodes[key] is None for key in BUDGETS):
        nodes |= {key: nodes["dataset"].get(key) for key in BUDGETS}
        for key in BUDGETS:
            require(rules.RUN[key], f"dataset.{key}", nodes[key])
    return nodes


def knows(dataset: Mapping[str, Any], key: str) -> bool:
    """Whether the task has a use for `key`: whether it sets it at some scale, if it sets anything by scale."""
    scales = dataset.get("scales") or {}
    return not scales or any(key in entry for entry in scales.values())


def require(rule: Rule, key: str, value: Any) -> None:
    if not rule.holds(value):
        raise ConfigError(f"{key}={show(value)}: must be {rule.text}")


def check_group(group: str, node: Mapping[str, Any], default: Mapping[str, Any]) -> None:
    """A value obeys its rule; one without a rule of its own must be of the same kind as its default."""
    known = dict(leaves(default, group))
    for key, value in leaves(node, group):
        name = key.removeprefix(f"{group}.")
        if name in rules.GROUPS[group]:
            require(rules.GROUPS[group][name], key, value)
        elif key not in known:
            raise unknown_key(key, show(value), OmegaConf.create({group: default}))
        elif group == "dataset" and name in rules.TASK and value != known[key]:
            raise ConfigError(f"{key}={show(value)}: belongs to the task, where it is {show(known[key])}; leave it out")
        elif isinstance(value, list) and isinstance(known[key], list) and not same_kind(value, known[key]):
            raise ConfigError(f"{key}={show(value)}: must be a list of which every value is {kind(known[key][0])}")
        elif known[key] is not None and not same_kind(value, known[key]):
            raise ConfigError(f"{key}={show(value)}: must be {kind(known[key])}, as its default {show(known[key])} is")


def same_kind(value: Any, default: Any) -> bool:
    if isinstance(value, list) and isinstance(default, list):
        return not default or all(same_kind(v, default[0]) for v in value)
    return kind(value) == kind(default)


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a finite number" if abs(value) < float("inf") else "not finite"
    return {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a mapping")


def check_dataset(node: dict[str, Any]) -> None:
    size = node.get("train_size")
    if size is not None and node["batch_size"] + node["val_size"] > size:
        raise ConfigError(
            f"dataset.batch_size={node['batch_size']}, dataset.val_size={node['val_size']}: one batch and the "
            f"validation split must fit into the {size} training samples"
        )
    if node.get("check"):
        module, _, name = node["check"].rpartition(".")
        getattr(importlib.import_module(module), name)(node)


def check_optimizer(
    node: dict[str, Any], default: dict[str, Any], players: Sequence[str], user: frozenset[str]
) -> None:
    for key, value in node.items():
        if key not in default:
            raise unknown_key(f"optimizer.{key}", show(value), OmegaConf.create({"optimizer": default}))
    require(rules.name, "optimizer.name", node.get("name"))
    if not isinstance(node.get("wrappers"), list):
        wrong = show(node.get("wrappers"))
        raise ConfigError(f"optimizer.wrappers={wrong}: must be a list, innermost first; [] for none")
    for part, inner in [("base", node.get("base")), *((f"wrappers[{i}]", w) for i, w in enumerate(node["wrappers"]))]:
        if not isinstance(inner, dict) or "_target_" not in inner:
            raise ConfigError(
                f"optimizer.{part}={show(inner)}: must be a mapping with a _target_, as {{_target_: torch.optim.SGD}}"
            )
    for key, rule in rules.OPTIMIZER.items():
        if key not in node:
            continue
        value = node[key]
        if key in rules.PER_PLAYER and isinstance(value, dict):
            check_players(f"optimizer.{key}", value, players)
            values = {f"optimizer.{key}.{player}": v for player, v in value.items()}
        elif key in rules.PER_LAYER and isinstance(value, list):
            if not value:
                raise ConfigError(f"optimizer.{key}=[]: must have one value a layer, at least one")
            values = {f"optimizer.{key}[{i}]": v for i, v in enumerate(value)}
        else:
            values = {f"optimizer.{key}": value}
        for name, v in values.items():
            require(rule, name, v)
    layers = {key: len(node[key]) for key in rules.PER_LAYER if isinstance(node.get(key), list)}
    if len(set(layers.values())) > 1:
        raise ConfigError(
            ", ".join(f"optimizer.{key}={show(node[key])}" for key in layers)
            + ": must have as many values as there are layers, innermost first"
        )
    if layers:  # one number is every layer's: written out, so that both ways to write it are one run
        count = next(iter(layers.values()))
        node |= {key: [node[key]] * count for key in rules.PER_LAYER if key in node and key not in layers}
    check_base(node, user)
    for i, wrapper in enumerate(node["wrappers"]):
        key, path = f"optimizer.wrappers[{i}]._target_", wrapper["_target_"]
        check_target(key, path)
        if signature.derives(path, signature.WRAPPER) is False:
            raise ConfigError(
                f"{key}={path}: is no wrapper of lookahead_bench.optim; a plain optimizer belongs into optimizer.base"
            )
    check_composition(node)
    if node.get("order") is not None:
        check_order(node["order"], players)


def check_composition(node: Mapping[str, Any]) -> None:
    """The order that the wrappers' own constructors insist on, told before anything is imported."""
    names = [wrapper["_target_"].rpartition(".")[2] for wrapper in node["wrappers"]]
    shown = " < ".join([node["base"]["_target_"], *names])
    levels = [4 if i == 0 and name == "Projected" else rules.LEVEL.get(name, 0) for i, name in enumerate(names)]
    for inner, outer in itertools.pairwise(levels):
        if not (outer < inner or outer == inner == 0):
            raise ConfigError(
                f"optimizer.wrappers: {shown} is out of order; from the inside out: [Projected] < [Alternating] "
                "< [ProximalPoint or PastExtragradient] < [Projected] < [Lookahead and Averaged, any number]"
            )
    if node["base"]["_target_"].endswith(".LBFGS") and {2, 3} & set(levels):
        raise ConfigError(
            f"optimizer.base._target_={node['base']['_target_']}: calls its closure more than once a step, which "
            f"{names[0]} cannot follow; take a first-order optimizer such as torch.optim.SGD"
        )


def check_order(order: Any, players: Sequence[str]) -> None:
    """Blocks of players, in which everyone moves."""
    key = f"optimizer.order={show(order)}"
    if not isinstance(order, list) or not all(isinstance(block, list) and block for block in order):
        raise ConfigError(f"{key}: must be a list of lists of players, such as {show([[p] for p in players])}")
    named = [player for block in order for player in block]
    for player in named:
        if player not in players:
            raise ConfigError(f"{key}: no such player {show(player)} (players: {', '.join(players)})")
    for player in players:
        if player not in named:
            raise ConfigError(f"{key}: player {player!r} never moves; name it in a block")


def check_players(key: str, value: Mapping[str, Any], players: Sequence[str]) -> None:
    for player in value:
        if player not in players:
            raise ConfigError(
                f"{key}.{player}={show(value[player])}: no such player{nearest(player, players)} "
                f"(players: {', '.join(players)})"
            )
    for player in players:
        if player not in value:
            raise ConfigError(f"{key}={show(value)}: must have a value for every player, and {player!r} has none")


def check_target(key: str, path: Any) -> None:
    if not isinstance(path, str) or "." not in path:
        raise ConfigError(f"{key}={show(path)}: must be the dotted path of a class, as in torch.optim.SGD")
    check_target_name(key, path)
    module, _, name = path.rpartition(".")
    if importlib.util.find_spec(path.split(".")[0]) is None:
        raise ConfigError(f"{key}={path}: no module named {path.split('.')[0]!r} is installed")
    others = signature.missing(path)
    if others is not None:
        raise ConfigError(f"{key}={path}: {module} has no {name!r}{nearest(name, others)}")


def check_base(node: Mapping[str, Any], user: frozenset[str]) -> None:
    """The innermost optimizer: an optimizer, and one that takes what the user set."""
    path = node["base"]["_target_"]
    check_target("optimizer.base._target_", path)
    if signature.derives(path, signature.WRAPPER):
        raise ConfigError(f"optimizer.base._target_={path}: wraps an optimizer; it belongs into optimizer.wrappers")
    optimizer, takes = signature.derives(path, signature.OPTIMIZER), signature.arguments(path)
    if optimizer is None or takes is None:  # the source cannot tell: import the class
        from lookahead_bench.targets import optimizer_arguments

        takes = optimizer_arguments("optimizer.base._target_", path)
    elif not optimizer or path.endswith(".Optimizer"):
        raise ConfigError(f"optimizer.base._target_={path}: is not a torch.optim.Optimizer; name an optimizer's class")
    if takes is None:
        return
    base_keys = ("lr", "momentum", "weight_decay", "betas", "eps")
    for key in sorted(user & set(base_keys)):
        if key not in takes:
            raise ConfigError(f"optimizer.{key}={show(node[key])}: {path} takes no {key!r}; leave it out")
    for key, value in node["base"].items():
        if key != "_target_" and key not in takes:
            raise ConfigError(f"optimizer.base.{key}={show(value)}: {path} takes no {key!r}{nearest(key, takes)}")
        if key in rules.PER_PLAYER:
            require(rules.OPTIMIZER[key], f"optimizer.base.{key}", value)


def check_replicas(nodes: Mapping[str, Any]) -> None:
    """Replicas share one program: the task must batch them, and the optimizer must not mix them."""
    count, dataset, base = nodes["replicas"], nodes["dataset"], nodes["optimizer"]["base"]["_target_"]
    if count == 1:
        return
    why = None
    if dataset.get("replicas") is False:
        why = f"dataset={dataset['name']} cannot be batched over runs"
    elif (nodes["model"] or {}).get("batchnorm"):
        why = f"model={nodes['model']['name']} has BatchNorm, whose statistics cannot be batched over runs"
    elif base.rpartition(".")[0] != "torch.optim" or base.rpartition(".")[2] not in rules.ELEMENTWISE:
        why = f"{base} is not known to act on every number by itself"
    elif nodes["seed"] + count > 2**32:
        why = "seed + replicas must stay below 2^32"
    if why:
        raise ConfigError(f"replicas={count}: {why}; use replicas=1 and -m seed=1,2,3")

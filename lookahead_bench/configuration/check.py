"""Every check of a composed configuration, before any work. Imports no torch."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lookahead_bench import composition, ranges
from lookahead_bench.configuration import rules, source, targets
from lookahead_bench.configuration.compose import leaves
from lookahead_bench.configuration.files import CONF, GROUPS, PACKAGE
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.messages import show, unknown_key
from lookahead_bench.configuration.targets import check_target, nearest
from lookahead_bench.configuration.wrappers import Chain
from lookahead_bench.errors import ConfigError

Node = Mapping[str, Any]
NAME = "a name of at most 100 letters, digits, _, - and ."
FIXED = ("name", "players")  # of a dataset's node; they belong to the task


def check(nodes: Node, defaults: Node, user: frozenset[str]) -> Chain:
    """Refuse what is wrong, in one line; gives what the optimizer's wrappers state.

    defaults: the same choice of groups without the user's values; user: the keys of `optimizer.` that he set.
    Errors: ConfigError.
    """
    dataset, model = nodes["dataset"], nodes["model"]
    check_facts(dataset)
    if not nodes.get("schedule"):
        raise ConfigError(
            f"schedule=null: dataset={dataset['name']} names none for scale={nodes['scale']}; choose schedule=constant"
        )
    if model and not knows(dataset, "model"):
        raise ConfigError(f"model={model.get('name')}: dataset={dataset['name']} takes no model; leave it out")
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
    for key in ("results_dir", "data_dir"):
        if {CONF, PACKAGE} & {(place := Path(nodes[key]).resolve()), *place.parents}:
            raise ConfigError(f"{key}={nodes[key]}: is part of lookahead-bench itself; name another directory")
    for group, own in {"dataset": {}, "model": {}, "schedule": {}, "tracker": rules.TRACKER, "gpu": rules.GPU}.items():
        check_group(group, nodes[group] or {}, defaults[group] or {}, own)
    for group, kind in (("dataset", targets.TASK), ("model", targets.MODEL), ("schedule", targets.SCHEDULE)):
        if nodes[group]:
            check_target(f"{group}._target_", nodes[group].get("_target_"), kind)
    if model:
        check_model(model, dataset)
    check_dataset(dataset)
    if about(nodes["schedule"]).get("watches") and nodes["evaluate_every"] is None:
        name = nodes["schedule"]["name"]
        raise ConfigError(f"evaluate_every=null: schedule={name} watches the scores in between; set evaluate_every")
    chain = check_optimizer(nodes["optimizer"], defaults["optimizer"], dataset["players"], user)
    check_replicas(nodes, chain)
    check_processes(nodes)
    for key in ("epochs", "evaluate_every"):
        if nodes[key] is not None and "epoch" in f"{key} {nodes[key]}" and not knows(dataset, "epochs"):
            remedy = "set max_steps or max_oracle_calls" if key == "epochs" else "count in steps or oracle_calls"
            raise ConfigError(f"{key}={nodes[key]}: dataset={dataset['name']} has no epochs; {remedy}")
    return chain


def knows(dataset: Node, key: str) -> bool:
    """Whether the task has a use for `key`: whether it sets it at some scale, if it sets anything by scale."""
    scales = about(dataset).get("scales") or {}
    has_data = key == "epochs" and "train_size" in about(dataset)
    return has_data or not scales or any(key in entry for entry in scales.values())


def about(node: Node | None) -> Node:
    """The facts of a node that are no arguments."""
    return (node or {}).get(ABOUT) or {}


def require(rule: str, key: str, value: Any) -> None:
    """Errors: ConfigError where the value is not what the sentence says, or the sentence says nothing."""
    try:
        holds = ranges.parse(rule).holds
    except ValueError as error:
        raise ConfigError(f"the range of {key}: {error}") from None
    if not holds(value):
        raise ConfigError(f"{key}={show(value)}: must be {rule}")


def check_group(group: str, node: Node, default: Node, own: Mapping[str, str]) -> None:
    """A value obeys its range; one without a range must be of the same kind as its default."""
    said = {**own, **(about(default).get("ranges") or {})}
    known = dict(leaves(default, group))
    if "name" in default:
        require(NAME, f"{group}.name", node["name"])
    for key, value in leaves(node, group):
        name = key.removeprefix(f"{group}.")
        if name.startswith(f"{ABOUT}.") or (group == "dataset" and name in FIXED):
            if value != known.get(key):
                where = f"belongs to the {'task' if group == 'dataset' else group}"
                raise ConfigError(f"{key}={show(value)}: {where}, where it is {show(known.get(key))}; leave it out")
        elif name in said:
            require(said[name], key, value)
        elif key not in known:
            raise unknown_key(key, show(value), OmegaConf.create({group: default}))
        elif group == "dataset" and name in rules.RUN:
            require(rules.RUN[name], key, value)
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


def check_facts(node: Node) -> None:
    """What the YAML of a task must say of it."""
    facts = about(node)
    if not isinstance(facts.get("metric"), str) or facts.get("direction") not in ("max", "min"):
        raise ConfigError(
            f"dataset={node.get('name')}: its YAML must say about: {{metric: NAME, direction: max or min}}"
        )
    if not isinstance(facts.get("also", []), list):
        raise ConfigError(f"dataset={node.get('name')}: its YAML must say about: {{also: [NAME, ...]}}, further scores")
    if not isinstance(node.get("players"), list) or not node["players"]:
        raise ConfigError(f"dataset={node.get('name')}: its YAML must say players: [NAME, ...], such as [model]")


def check_model(model: Node, dataset: Node) -> None:
    """A network for one kind of task is none for another: its class takes what the task hands it."""
    wants = targets.fact("dataset._target_", dataset["_target_"], targets.TASK, "network_arguments")
    takes = targets.arguments("model._target_", model["_target_"], targets.MODEL)
    if wants and takes is not None and not set(wants) <= takes:
        fitting = sorted({entry["model"] for entry in about(dataset)["scales"].values() if "model" in entry})
        raise ConfigError(
            f"model={model.get('name')}: is no network for dataset={dataset['name']}, which makes them of "
            f"{' and '.join(wants)}; choose of {', '.join(fitting)}, or a class of your own that takes these"
        )
    side, own = about(model).get("side"), about(dataset).get("side")  # pixels
    if side is not None and side != own:
        has = f"has {own}x{own}" if own else "has no images"
        raise ConfigError(
            f"model={model.get('name')}: is for images of {side}x{side} pixels, and dataset={dataset['name']} {has}; "
            "choose another model"
        )


def check_dataset(node: Node) -> None:
    facts = about(node)
    size, held_out = facts.get("train_size"), node.get("val_size", 0)
    if size is not None and node["batch_size"] + held_out > size:
        also = f", dataset.val_size={held_out}: one batch and the validation split" if held_out else ": one batch"
        raise ConfigError(f"dataset.batch_size={node['batch_size']}{also} must fit into the {size} training samples")
    if facts.get("check"):
        key = f"dataset.{ABOUT}.check"
        check_target(key, facts["check"], targets.CHECK)
        try:
            broken = next(
                ((k, str(rule)) for k, rule in targets.load(key, facts["check"], targets.CHECK)().broken(node)), None
            )
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(
                f"{key}={facts['check']}: failed: {type(error).__name__}: {' '.join(str(error).split())}"
            ) from None
        if broken:
            raise ConfigError(f"dataset.{broken[0]}={show(node.get(broken[0]))}: {broken[1]}")


def check_optimizer(node: Node, default: Node, players: Sequence[str], user: frozenset[str]) -> Chain:
    for key, value in node.items():
        if key not in default:
            raise unknown_key(f"optimizer.{key}", show(value), OmegaConf.create({"optimizer": default}))
    require(NAME, "optimizer.name", node.get("name"))
    if not isinstance(node.get("wrappers"), list):
        wrong = show(node.get("wrappers"))
        raise ConfigError(f"optimizer.wrappers={wrong}: must be a list, innermost first; [] for none")
    for part, inner in [("base", node.get("base")), *((f"wrappers[{i}]", w) for i, w in enumerate(node["wrappers"]))]:
        if not isinstance(inner, dict) or "_target_" not in inner:
            raise ConfigError(
                f"optimizer.{part}={show(inner)}: must be a mapping with a _target_, as {{_target_: torch.optim.SGD}}"
            )
    for i, wrapper in enumerate(node["wrappers"]):
        check_target(f"optimizer.wrappers[{i}]._target_", wrapper["_target_"], targets.WRAPPER)
    chain = Chain.of(node["wrappers"])
    said = {**rules.BASE, **chain.ranges}
    for key in said.keys() & node.keys():
        for name, value in single_values(key, node[key], chain, players):
            require(said[key], name, value)
    lengths = {key: len(node[key]) for key in chain.layered if isinstance(node.get(key), list)}
    if len(set(lengths.values())) > 1:
        raise ConfigError(
            ", ".join(f"optimizer.{key}={show(node[key])}" for key in node if key in lengths)
            + ": must have as many values as there are layers, innermost first"
        )
    check_base(node, user)
    check_composition(node, chain)
    if node.get("order") is not None:
        check_order(node["order"], players)
    return chain


def single_values(key: str, value: Any, chain: Chain, players: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(name, value) of every player or layer, where there is one for each."""
    name = f"optimizer.{key}"
    if key in rules.BASE and isinstance(value, dict):
        check_players(name, value, players)
        yield from ((f"{name}.{player}", v) for player, v in value.items())
    elif key in chain.layered and isinstance(value, list):
        if not value:
            raise ConfigError(f"{name}=[]: must have one value a layer, at least one")
        yield from ((f"{name}[{i}]", v) for i, v in enumerate(value))
    else:
        yield name, value


def check_composition(node: Node, chain: Chain) -> None:
    """The order that the wrappers' own constructors insist on, told before anything is imported."""
    inner: float = math.inf
    shown = " < ".join([node["base"]["_target_"], *(one.name for one in chain.wrappers)])
    for one in chain.wrappers:
        if one.level is None:
            raise ConfigError(f"optimizer.wrappers: {one.path} states no level, its place in the order of composition")
        holds = composition.place(one.level, inner)
        if holds is None:
            raise ConfigError(f"optimizer.wrappers: {shown} is out of order; {composition.ORDER}")
        inner = holds
    anchored = [one.name for one in chain.wrappers if source.derives(one.path, source.ANCHORED)]
    if anchored and node["base"]["_target_"].endswith(".LBFGS"):
        raise ConfigError(
            f"optimizer.base._target_={node['base']['_target_']}: calls its closure more than once a step, which "
            f"{anchored[0]} cannot follow; take a first-order optimizer such as torch.optim.SGD"
        )


def check_order(order: Any, players: Sequence[str]) -> None:
    """Blocks of players, in which everyone moves."""
    key = f"optimizer.order={show(order)}"
    if not isinstance(order, list) or not all(isinstance(block, list) and block for block in order):
        raise ConfigError(f"{key}: must be a list of lists of players, such as {show([[p] for p in players])}")
    named = list(itertools.chain(*order))
    for player in named:
        if player not in players:
            raise ConfigError(f"{key}: no such player {show(player)} (players: {', '.join(players)})")
    for player in players:
        if player not in named:
            raise ConfigError(f"{key}: player {player!r} never moves; name it in a block")


def check_players(key: str, value: Node, players: Sequence[str]) -> None:
    for player in value:
        if player not in players:
            raise ConfigError(
                f"{key}.{player}={show(value[player])}: no such player{nearest(player, players)} "
                f"(players: {', '.join(players)})"
            )
    for player in players:
        if player not in value:
            raise ConfigError(f"{key}={show(value)}: must have a value for every player, and {player!r} has none")


def check_base(node: Node, user: frozenset[str]) -> None:
    """The innermost optimizer: an optimizer, and one that takes what the user set."""
    path, key = node["base"]["_target_"], "optimizer.base._target_"
    if isinstance(path, str) and source.derives(path, source.WRAPPER):
        raise ConfigError(f"{key}={path}: wraps an optimizer; it belongs into optimizer.wrappers")
    check_target(key, path, targets.OPTIMIZER)
    takes = targets.arguments(key, path, targets.OPTIMIZER)
    if takes is None:
        return
    for name in sorted(user & rules.BASE.keys()):
        if name not in takes:
            raise ConfigError(f"optimizer.{name}={show(node[name])}: {path} takes no {name!r}; leave it out")
    for name, value in node["base"].items():
        if name != "_target_" and name not in takes:
            raise ConfigError(f"optimizer.base.{name}={show(value)}: {path} takes no {name!r}{nearest(name, takes)}")
        if name in rules.BASE:
            require(rules.BASE[name], f"optimizer.base.{name}", value)


def check_replicas(nodes: Node, chain: Chain) -> None:
    """Replicas share one program."""
    count = nodes["replicas"]
    why = unbatchable(nodes, chain) if count > 1 else None
    if not why and nodes["seed"] + count > 2**32:
        why = "seed + replicas must stay below 2^32"
    if why:
        raise ConfigError(f"replicas={count}: {why}; use replicas=1 and -m seed=1,2,3")


def unbatchable(nodes: Node, chain: Chain) -> str | None:
    """Why runs cannot be one program, if they cannot: the task must batch them, and the optimizer must not mix them."""
    dataset, base = nodes["dataset"], nodes["optimizer"]["base"]["_target_"]
    mixing = next((one.name for one in chain.wrappers if not one.elementwise), None)
    if about(dataset).get("replicas") is False:
        return f"dataset={dataset['name']} cannot be batched over runs"
    if about(nodes["model"]).get("batchnorm"):
        return f"model={nodes['model']['name']} has BatchNorm, whose statistics cannot be batched over runs"
    if about(nodes["schedule"]).get("watches"):
        return f"schedule={nodes['schedule']['name']} watches the score, and every run has one of its own"
    if nodes["gpu"].get("processes", 1) > 1:
        return "gpu.processes splits a run, and replicas join several"
    if base.removeprefix("torch.optim.") not in rules.ELEMENTWISE:
        return f"{base} is not known to act on every number by itself"
    return f"{mixing} does not act on every number by itself" if mixing else None


def check_processes(nodes: Node) -> None:
    """Processes share the batches of one run: they can be split, into equal parts, and nothing else is drawn."""
    count, dataset, model = nodes["gpu"].get("processes", 1), nodes["dataset"], nodes["model"]
    if count == 1:
        return
    batch, started = dataset.get("batch_size"), os.environ.get("WORLD_SIZE")
    drawing = [key for key in about(model).get("dropout") or () if model[key]]
    why = None
    if targets.fact("dataset._target_", dataset["_target_"], targets.TASK, "batch_dim") is None:
        why = f"dataset={dataset['name']} cannot be split over processes; use gpu=auto"
    elif batch % count:
        why = f"must divide dataset.batch_size={batch} into equal parts; use another number, or another batch_size"
    elif drawing:
        off = " ".join(f"model.{key}=0" for key in drawing)
        why = f"processes that share a batch would draw other dropout masks than one does; set {off}, or use gpu=auto"
    elif "RANK" in os.environ and started != str(count):
        why = f"torchrun has started {started} processes; leave gpu.processes out"
    elif str(nodes["gpu"]["device"]).startswith("cuda:"):
        why = f"gpu.device={nodes['gpu']['device']} is one GPU, and every process has one; use gpu.device=cuda"
    if why:
        raise ConfigError(f"gpu.processes={count}: {why}")

"""Which configurations of a sweep one batched program can compute together. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lookahead_bench.configuration import rules, targets
from lookahead_bench.configuration.check import require, unbatchable
from lookahead_bench.configuration.config import Config
from lookahead_bench.configuration.wrappers import Chain


def batches(configs: Sequence[Config], most: int) -> list[list[int]]:
    """The configurations' numbers, in groups that are a program each, of at most so many runs; the first's order.

    One that cannot be batched is a group by itself. Errors: ConfigError.
    """
    require("an integer >= 1", "hydra.launcher.most", most)
    found: list[list[int]] = []
    filling: dict[str, list[int]] = {}  # what runs have in common -> the group that takes more of them
    room: dict[str, int] = {}
    for i, config in enumerate(configs):
        key, runs = batchable(config) or str(i), config["replicas"]
        if runs > room.get(key, 0):
            found.append([])
            filling[key], room[key] = found[-1], most
        filling[key].append(i)
        room[key] -= runs
    return found


def batchable(config: Config) -> str | None:
    """What runs of one program have in common; None for a run that cannot be batched.

    They may differ in the seed, in the study, in what torch's optimizers take from a parameter group, in what a wrapper
    takes `per_parameter`, and in what the task takes `per_replica`.
    """
    node = config["optimizer"]
    chain = Chain.of(node["wrappers"])
    if unbatchable(config.nodes, chain):
        return None
    own = rules.BASE.keys() - {key for one in chain.wrappers for key in one.arguments}
    own |= {key for one in chain.wrappers for key in one.per_parameter}
    shared = {key: value for key, value in config.nodes.items() if key not in ("seed", "replicas", "study")}
    constants = targets.fact("dataset._target_", config["dataset"]["_target_"], targets.TASK, "per_replica")
    shared["dataset"] = {key: value for key, value in config["dataset"].items() if key not in constants}
    shared["optimizer"] = {key: value for key, value in node.items() if key not in own}
    return json.dumps(shared, sort_keys=True, default=str)

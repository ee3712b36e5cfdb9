"""Which configurations of a sweep one batched program can compute together. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lookahead_bench.configuration import rules
from lookahead_bench.configuration.check import require, unbatchable
from lookahead_bench.configuration.config import Config
from lookahead_bench.configuration.wrappers import Chain


def batches(configs: Sequence[Config], most: int) -> list[list[int]]:
    """The configurations' numbers, in groups that are a program each, of at most so many runs; the first's order.

    One that cannot be batched is a group by itself. Errors: ConfigError.
    """
    require("an integer >= 1", "hydra.launcher.most", most)
    programs: dict[str, list[list[int]]] = {}
    found = []
    for i, config in enumerate(configs):
        key = batchable(config)
        groups = programs.setdefault(key, []) if key else []
        if not groups or sum(configs[j]["replicas"] for j in groups[-1]) + config["replicas"] > most:
            groups.append([])
            found.append(groups[-1])
        groups[-1].append(i)
    return found


def batchable(config: Config) -> str | None:
    """What runs of one program have in common, all but the seed and numbers of the optimizer; None where there is none.

    Those numbers are what torch's optimizers take from a parameter group, and what a wrapper takes `per_parameter`.
    """
    node = config["optimizer"]
    chain = Chain.of(node["wrappers"])
    if unbatchable(config.nodes, chain):
        return None
    own = rules.BASE.keys() - {key for one in chain.wrappers for key in one.arguments}
    own |= {key for one in chain.wrappers for key in one.per_parameter}
    shared = {key: value for key, value in config.nodes.items() if key not in ("seed", "replicas")}
    shared["optimizer"] = {key: value for key, value in node.items() if key not in own}
    return json.dumps(shared, sort_keys=True, default=str)

"""What a run is: the part of its configuration that can change a number, in one canonical form, and the hash of it.

The hash outlives the code. A key at the value that does nothing is left out, so that a key that comes later changes no
stored id: null always (it means the class's own default), and the values of NEUTRAL. Our own classes enter by their
name alone, so that one may move between modules. 1 and 1.0 are one number.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

EXECUTION = (
    "gpu",
    "tracker",
    "replicas",
    "data_dir",
    "results_dir",
    "study",
    "confirm",
    "force",
)  # where and how; changes no number
ABOUT = "about"  # the facts of a node that are no arguments: description, source, ranges, ...

# A run without the key is the run with this value. Not here: momentum, weight_decay and others that a base optimizer
# takes, whose own default need not be 0.
NEUTRAL: dict[str, Any] = {
    "evaluate_every": "1 epochs",
    "resample": "step",
    "batchnorm": "mixed",
    "optimizer.pullback": "none",
    "optimizer.outer_momentum": 0,
    "optimizer.relaxation": 1,
    "optimizer.start": 0,
    "dataset.noise": 0,
    "dataset.spread": 0,
    "dataset.augment": False,
    "dataset.inception_v3": False,
    "schedule.warmup": 0,
}

OWN = re.compile(r"lookahead_bench\.(?:\w+\.)*(\w+)")
DIGITS = 16  # of the hash, 4 bits each: 32 bits were seen to collide


def scientific(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration can change a number, as it is stored in config.yaml."""
    return {
        key: {k: v for k, v in node.items() if k != ABOUT} if isinstance(node, Mapping) else node
        for key, node in nodes.items()
        if key not in EXECUTION
    }


def canonical(science: Mapping[str, Any]) -> dict[str, Any]:
    """The form that is hashed and compared. science: of this version or of an earlier one."""
    return dict(_kept(science, ""))


def _kept(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        value = _plain(value)
        neutral = NEUTRAL.get(f"{prefix}{key}")
        values = value if isinstance(value, list) and value else [value]  # a list is neutral where every layer is
        if value is not None and (neutral is None or any(one != neutral for one in values)):
            yield str(key), dict(_kept(value, f"{prefix}{key}.")) if isinstance(value, Mapping) else value


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [canonical(v) if isinstance(v, Mapping) else _plain(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    found = OWN.fullmatch(value) if isinstance(value, str) else None
    return f"lookahead_bench:{found[1]}" if found else value


def run_id_of_32_bits(science: Mapping[str, Any]) -> str:
    """The id that the first version gave: `lookahead-bench check` knows its stored runs by it."""

    def numbers(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): numbers(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [numbers(v) for v in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    digest = hashlib.sha256(json.dumps(numbers(science), sort_keys=True).encode()).hexdigest()[:8]
    return f"{science['dataset']['name']}-{science['optimizer']['name']}-s{science['seed']}-{digest}"


def run_id(science: Mapping[str, Any]) -> str:
    """Readable, ending in the hash: cifar100-multilayer-s3-1f0c9a2b5d7e8f90."""
    text = json.dumps(canonical(science), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return f"{science['dataset']['name']}-{science['optimizer']['name']}-s{science['seed']}-{digest}"

"""A validated configuration and its identity. Errors are one line: key, value, rule, remedy. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from lookahead_bench import rules
from lookahead_bench.compose import PRIMARY, loader
from lookahead_bench.messages import COMPOSING, translate
from lookahead_bench.rules import DESCRIPTIVE
from lookahead_bench.validation import require, validated

EXECUTION = ("gpu", "tracker", "replicas", "data_dir", "results_dir", "force")


@dataclass(frozen=True)
class Config:
    """Everything that one run needs to know, as plain Python values, checked.

    nodes      the resolved configuration: seed, budgets, precision, ... and the groups' nodes
    user_keys  what the user set himself below `optimizer.`, e.g. {"lr"}
    """

    nodes: dict[str, Any]
    user_keys: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        return self.nodes[key]

    @property
    def scientific(self) -> dict[str, Any]:
        """What can change a number: the run's identity is the hash of this."""
        return {
            key: {k: v for k, v in value.items() if k not in DESCRIPTIVE[key]}
            if key in DESCRIPTIVE and value
            else value
            for key, value in self.nodes.items()
            if key not in EXECUTION
        }

    @property
    def execution(self) -> dict[str, Any]:
        """What cannot: where and how the numbers are computed, shown and kept."""
        return {key: self.nodes[key] for key in EXECUTION}

    @property
    def run_id(self) -> str:
        """Readable, ending in the hash of the scientific configuration: cifar100-multilayer-s3-1f0c9a2b."""
        text = json.dumps(canonical(self.scientific), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self['dataset']['name']}-{self['optimizer']['name']}-s{self['seed']}-{digest}"

    def with_seed(self, seed: int) -> Config:
        """The same configuration for another seed: replica r of a run is with_seed(seed + r)."""
        return replace(self, nodes={**self.nodes, "seed": seed})

    def seeds(self) -> list[Config]:
        """One configuration a replica."""
        return [self.with_seed(self["seed"] + r) for r in range(self["replicas"])]


def canonical(value: Any) -> Any:
    """1 and 1.0 are one number, so that `lr=1` and `lr=1.0` are one run."""
    if isinstance(value, Mapping):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def load(overrides: Sequence[str]) -> Config:
    """Compose and check. Raises ConfigError, one line, before anything else happens."""
    composing = loader()
    try:
        composed = composing.load_configuration(PRIMARY, list(overrides), RunMode.RUN)
        assert composing.defaults is not None
        keys = {o.key_or_group for o in OverridesParser.create().parse_overrides(list(overrides))}
        user = frozenset(key.split(".")[1] for key in keys if key.startswith("optimizer."))
        return Config(validated(composed, composing.defaults, user), user)
    except COMPOSING as error:
        raise translate(error, overrides, composing.defaults) from None


def every_job(planned: Sequence[Sequence[str]]) -> Iterable[Config]:
    """The configuration of every job of a sweep. Jobs that differ in their seed alone are composed once."""
    composed: dict[tuple[str, ...], Config] = {}
    for job in planned:
        others = tuple(o for o in job if not o.startswith("seed="))
        seed = next((o.split("=", 1)[1] for o in reversed(job) if o.startswith("seed=")), None)
        if others not in composed or seed is None or not seed.isdigit():
            composed[others] = load(job)
        base = composed[others]
        if seed is not None:
            require(rules.RUN["seed"], "seed", int(seed))
            base = base.with_seed(int(seed))
        yield base

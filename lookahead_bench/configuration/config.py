"""A checked configuration, and the overrides that make one. Errors are one line. Imports no torch."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from lookahead_bench.configuration import identity, rules
from lookahead_bench.configuration.check import check, require
from lookahead_bench.configuration.compose import PRIMARY, Loader, loader
from lookahead_bench.configuration.messages import COMPOSING, translate
from lookahead_bench.configuration.normalise import normalised
from lookahead_bench.errors import ConfigError


@dataclass(frozen=True)
class Config:
    """Everything that one run needs to know, as plain Python values, checked and in one normal form.

    nodes      the resolved configuration: seed, budgets, precision, ... and the groups' nodes
    user_keys  what the user set himself below `optimizer.`, e.g. {"lr"}
    """

    nodes: dict[str, Any]
    user_keys: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        return self.nodes[key]

    @property
    def about(self) -> dict[str, Any]:
        """The facts of the task: description, metric, direction, data, ..."""
        return dict(self.nodes["dataset"][identity.ABOUT])

    @property
    def data(self) -> str | None:
        """The data set that the task reads, if any: a fact of the task, or a key of its node. A text of one's own needs
        none."""
        name: str | None = self.about.get("data", self["dataset"].get("data"))
        return name if self["dataset"].get("text_file") is None else None

    @property
    def scientific(self) -> dict[str, Any]:
        """What can change a number: the run's identity is the hash of this."""
        return identity.scientific(self.nodes)

    @property
    def execution(self) -> dict[str, Any]:
        """What cannot: where and how the numbers are computed, shown and kept."""
        return {key: self.nodes[key] for key in identity.EXECUTION}

    @property
    def run_id(self) -> str:
        return identity.run_id(self.scientific)

    def with_seed(self, seed: int) -> Config:
        """The same configuration for another seed: replica r of a run is with_seed(seed + r)."""
        return replace(self, nodes={**self.nodes, "seed": seed})

    def seeds(self) -> list[Config]:
        """One configuration a replica."""
        return [self.with_seed(self["seed"] + r) for r in range(self["replicas"])]


def load(overrides: Sequence[str], composing: Loader | None = None) -> Config:
    """Compose and check. Raises ConfigError, one line, before anything else happens.

    composing: a loader that has composed like configurations before, or will be asked for this one again.
    """
    return Composed.of(overrides, composing or loader()).config()


@dataclass(frozen=True)
class Composed:
    """What Hydra has composed from some overrides, not yet checked.

    keys: of the overrides; tree: without Hydra's own part; defaults: the nodes before any value was overridden;
    dataset, experiment: what was chosen.
    """

    overrides: tuple[str, ...]
    keys: frozenset[str]
    tree: DictConfig
    defaults: dict[str, Any]
    dataset: str
    experiment: str | None

    @classmethod
    def of(cls, overrides: Sequence[str], composing: Loader) -> Composed:
        try:
            tree = composing.load_configuration(PRIMARY, list(overrides), RunMode.RUN)
            assert composing.defaults is not None
            choices, defaults = tree.hydra.runtime.choices, plain(composing.defaults)
            keys = {o.key_or_group for o in OverridesParser.create().parse_overrides(list(overrides))}
        except COMPOSING as error:
            raise translate(error, overrides, composing.defaults) from None
        with open_dict(tree):
            del tree["hydra"]
        return cls(tuple(overrides), frozenset(keys), tree, defaults, choices.dataset, choices.experiment)

    def config(self, late: Sequence[str] = ()) -> Config:
        """late: values that override what is composed, as if they stood behind the other overrides."""
        tree = self.tree
        try:
            parsed = OverridesParser.create().parse_overrides(list(late))
            if late:
                tree = copy.deepcopy(tree)
                ConfigLoaderImpl._apply_overrides_to_config(parsed, tree)
            nodes = plain(tree)
        except COMPOSING as error:
            raise translate(error, (*self.overrides, *late), OmegaConf.create(self.defaults)) from None
        keys = self.keys | {o.key_or_group for o in parsed}
        user = frozenset(key.split(".")[1] for key in keys if key.startswith("optimizer."))
        nodes["study"] = nodes["study"] or self.experiment
        if nodes["dataset"].get("name") == self.defaults["dataset"].get("name") != self.dataset.rpartition("/")[2]:
            raise ConfigError(
                f"dataset={self.dataset}: its YAML says name: {nodes['dataset'].get('name')}; it must be the file's"
            )
        chain = check(nodes, self.defaults, user)
        return Config(normalised(nodes, chain), user)


def plain(composed: DictConfig) -> dict[str, Any]:
    """The resolved nodes without Hydra's own and the facts of an experiment; a toy task has no model."""
    nodes: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]  # of a mapping
    apart = ("hydra", "experiment", "search", identity.ABOUT)
    return {"model": None} | {key: node for key, node in nodes.items() if key not in apart}


LATE = re.compile(r"(?:study|optimizer\.[\w.]+)=")  # values that choose nothing


def every_job(planned: Iterable[Sequence[str]], composing: Loader | None = None) -> Iterable[Config]:
    """The configuration of every job of a sweep.

    Jobs that differ in their seed alone are checked once, those that differ in the optimizer's values composed once.
    """
    composing = composing or loader()
    composed: dict[tuple[str, ...], Composed] = {}
    checked: dict[tuple[str, ...], Config] = {}
    for job in planned:
        seed = next((o.split("=", 1)[1] for o in reversed(job) if o.startswith("seed=")), None)
        plain_seed = seed is None or seed.isdigit()
        same = tuple(o for o in job if not (plain_seed and o.startswith("seed=")))
        if same not in checked:
            late = [o for o in same if LATE.match(o)]
            shared = tuple(o for o in same if o not in late)
            if shared not in composed:
                composed[shared] = Composed.of(shared, composing)
            checked[same] = composed[shared].config(late)
        base = checked[same]
        if seed is not None and plain_seed:
            require(rules.RUN["seed"], "seed", int(seed))
            base = base.with_seed(int(seed))
        yield base

"""Wrong configurations in one line: key, value, rule, nearest valid name. Imports no torch."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from lookahead_bench.configuration import rules
from lookahead_bench.configuration.compose import compose
from lookahead_bench.configuration.files import CONF, GROUPS, options
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.targets import nearest
from lookahead_bench.errors import ConfigError

COMPOSING = (HydraException, OmegaConfBaseException, yaml.YAMLError)  # what composing a configuration may raise


def show(value: Any) -> str:
    """A value as it is written on the command line."""
    return json.dumps(value) if isinstance(value, bool | list | dict | None) else str(value)


def translate(error: Exception, overrides: Sequence[str], defaults: DictConfig | None = None) -> ConfigError:
    """One line for each of Hydra's errors. defaults: the chosen groups' nodes, as far as they are known."""
    message = str(error)
    cause: BaseException | None = error
    while cause is not None:  # an OmegaConf error is wrapped, sometimes in one without words
        message, cause = message or str(cause), cause.__cause__
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return ConfigError(f"{mark.name}, line {mark.line + 1}: is no YAML: {error.problem}")
    if isinstance(error, MissingConfigException) and (
        found := re.search(r"Could not find '(hydra/\w+|[\w@]+)/(.*?)'", message)
    ):
        group, name = found.groups()
        known = options(group) if group in GROUPS else []
        remedy = nearest(name, known) or f"; {few(known)}"
        remedy = "; is its plugin installed?" if group.startswith("hydra/") else remedy
        return ConfigError(f"{group}={name}: no such {group}{remedy}")
    if found := re.search(r"An item is already at '(.+?)'", message):
        plain = f"{found.group(1)}={written(found.group(1), overrides)}"
        return ConfigError(f"+{plain}: is there already, and is set without a plus sign; write {plain}")
    if found := re.search(r"Could not override '(.+?)'", message):
        return unknown_key(found.group(1), written(found.group(1), overrides), defaults)
    if isinstance(error, InterpolationResolutionError):
        first = message.splitlines()[0]
        key = next((o for o in overrides if "${" in o), str(error.full_key))
        return ConfigError(f"{key}: {first[:1].lower()}{first[1:]}")
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"{error.override}: cannot be read as key=value (lists are [1,2], mappings {{a:1,b:2}}, quote other signs)"
        )
    if "requires --multirun" in message or "To use it as a list" in message:
        swept = next((o for o in overrides if "," in o), overrides[0] if overrides else "")
        return ConfigError(f"{swept}: several values are a sweep; add -m, or write a list as key=[1,2]")
    return ConfigError(" ".join(message.split()) or type(error).__name__)


def few(names: Sequence[str]) -> str:
    """The names to choose from, where they fit into a line."""
    return f"choose one of {', '.join(names)}" if len(names) <= 30 else "lookahead-bench list shows the names"


def written(key: str, overrides: Sequence[str]) -> str:
    """The value that the user gave to `key`, as he wrote it."""
    return next((o.partition("=")[2] for o in reversed(overrides) if o.lstrip("+").partition("=")[0] == key), "")


def unknown_key(key: str, value: str, defaults: DictConfig | None = None) -> ConfigError:
    """The one line for a key that nothing reads. defaults: the chosen groups' nodes."""
    first, _, rest = key.partition(".")
    if not rest or first not in GROUPS:
        names = [*GROUPS, *rules.RUN]
        return ConfigError(f"{key}={value}: no such key{nearest(key, names)} (lookahead-bench --help shows the keys)")
    node = (compose([]) if defaults is None else defaults).get(first) or OmegaConf.create()
    keys = [str(k) for k in node if k not in ("name", "_target_", "wrappers", ABOUT)]
    parent, _, player = rest.partition(".")
    if rest in (node.get(ABOUT) or {}):
        return ConfigError(
            f"{key}={value}: belongs to the {first}, where it is {show(node[ABOUT][rest])}; leave it out"
        )
    if first == "optimizer" and player and parent in rules.BASE:
        return ConfigError(f"{key}={value}: one value a player is written optimizer.{parent}={{{player}:{value},...}}")
    if first == "optimizer" and rest in keys_of_optimizers():
        return ConfigError(f"{key}={value}: means nothing for optimizer={node.name}, whose keys are {', '.join(keys)}")
    chosen = f"{first}={node.get('name')}" if node.get("name") else f"the chosen {first}"
    last = rest.rpartition(".")[2]
    near = [last] if last in keys else difflib.get_close_matches(last, keys, n=1)
    remedy = f"did you mean {f'{first}.{near[0]}'!r}?" if near else f"it has {', '.join(keys) or 'none'}"
    return ConfigError(f"{key}={value}: {chosen} has no such key; {remedy}")


def keys_of_optimizers() -> set[str]:
    """The top-level keys of all optimizers in conf/."""
    return {str(key) for path in (CONF / "optimizer").glob("*.yaml") for key in yaml.safe_load(path.read_bytes())}

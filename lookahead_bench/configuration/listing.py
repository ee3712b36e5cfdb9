"""`lookahead-bench list`: what the YAML files of conf/ say, without importing what they name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lookahead_bench.configuration import rules
from lookahead_bench.configuration.files import CONF, GROUPS, check_place, files, make_importable
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.targets import nearest
from lookahead_bench.configuration.wrappers import Chain
from lookahead_bench.errors import ConfigError

STRUCTURE = ("name", ABOUT, "_target_", "base", "wrappers", "hydra", "defaults")


def show(names: Sequence[str], searchpath: str = "") -> str:
    """An overview, or the named ones in full. searchpath: folders beside conf/, as `[file:///a,file:///b]`."""
    added = [Path(place.strip().removeprefix("file://")) for place in searchpath.strip("[]").split(",") if place]
    for place in added:
        check_place(place)
        make_importable(place)
    places = [CONF, *added]
    return "\n\n".join(page(name, places) for name in names) if names else overview(places)


def read(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: is no YAML: {error.problem}") from None


def description(path: Path) -> str:
    """The description in a YAML file's facts, or its first comment."""
    said = (read(path).get(ABOUT) or {}).get("description")
    comments = (line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return said or next((line for line in comments if not line.startswith("@package")), "")


def overview(places: Sequence[Path]) -> str:
    """Every group with its names and one line on each."""
    parts = []
    for group in GROUPS:
        entries = list(files(group, places))
        width = max((len(name) for name, _ in entries), default=0)
        parts.append("\n".join([f"{group}=", *(f"  {name:<{width}}  {description(path)}" for name, path in entries)]))
    return "\n\n".join([*parts, "lookahead-bench list NAME shows one in full"])


def page(name: str, places: Sequence[Path]) -> str:
    """Everything of this name, in full: equation, source, keys, ranges and defaults."""
    everything = [(group, one, path) for group in GROUPS for one, path in files(group, places)]
    found = [(group, path) for group, one, path in everything if one == name]
    if not found:
        hint = nearest(name, [one for _, one, _ in everything]) or " (lookahead-bench list shows the names)"
        raise ConfigError(f"list {name}: no such name{hint}")
    return "\n\n".join(entry(group, name, path) for group, path in found)


def entry(group: str, name: str, path: Path) -> str:
    node = read(path)
    about = node.get(ABOUT) or {}
    lines = [f"{group}={name}: {description(path)}"]
    if about.get("equation"):
        lines += ["", *("  " + line for line in str(about["equation"]).strip().splitlines())]
    if about.get("source"):
        lines += ["", f"source: {' '.join(str(about['source']).split())}"]
    said = dict(about.get("ranges") or {})
    if group == "optimizer":
        chain = Chain.of(node["wrappers"])
        lines += ["", "composition, from the inside out: "
                  + " < ".join([node["base"]["_target_"], *(one.name for one in chain.wrappers)])]  # fmt: skip
        said |= rules.BASE | chain.ranges
        said |= {key: f"{said[key]}; a list: one a layer" for key in chain.layered & said.keys()}
        said |= {key: f"{said[key]}; a mapping: one a player" for key in rules.BASE}
    keys = {key: value for key, value in node.items() if key not in STRUCTURE and key != group}
    if keys:
        width = max(map(len, keys))
        rows = (f"  {group}.{key:<{width}} = {default(value)}{in_brackets(said, key)}" for key, value in keys.items())
        lines += ["", "keys:", *rows]
    for scale, what in (about.get("scales") or {}).items():
        lines.append(f"scale={scale}: " + ", ".join(f"{k}={shown(v)}" for k, v in what.items()))
    return "\n".join(lines)


def in_brackets(said: Mapping[str, str], key: str) -> str:
    return f"   ({said[key]})" if key in said else ""


def default(value: Any) -> str:
    """A default as a reader wants it: `${oc.select:dataset.about.optimizer.lr,0.1}` is 0.1 unless the task says so."""
    if isinstance(value, str) and value.startswith("${oc.select:"):
        return f"{value.partition(',')[2].removesuffix('}')} unless the task says otherwise"
    return shown(value)


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

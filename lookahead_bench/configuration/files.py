"""Where the YAML files lie: conf/, and the folders that a user adds. Imports no Hydra."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from lookahead_bench.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent.parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
MOST_VALUES = 10_000  # of a YAML file
GROUPS = ("optimizer", "dataset", "model", "schedule", "scale", "gpu", "tracker", "search", "experiment")


def files(group: str, places: Iterable[Path] = (CONF,)) -> Iterator[tuple[str, Path]]:
    """The names that `group=` takes and their files."""
    for place in places:
        for path in sorted((place / group).rglob("*.yaml")):
            yield path.relative_to(place / group).with_suffix("").as_posix(), path


def options(group: str) -> list[str]:
    """The names of conf/, e.g. options("optimizer") -> ["adam", ...]."""
    return [name for name, _ in files(group)]


def check_place(place: Path | str) -> None:
    """Refuse a user's folder that is none, and a YAML file in it whose aliases would fill the memory."""
    if not Path(place).is_dir():
        raise ConfigError(f"hydra.searchpath={place}: is no folder; write file:// and its path")
    for path in Path(place).rglob("*.yaml"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "*" in text and "&" in text and expanded(yaml.compose(text), {}) > MOST_VALUES:
            raise ConfigError(f"{path}: its aliases stand for more than {MOST_VALUES:,} values; write it without them")


def expanded(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for where every alias is written out."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 1  # of an alias to what it stands in
        parts = node.value if isinstance(node, yaml.SequenceNode) else [value for _, value in node.value]
        known[id(node)] = 1 + sum(expanded(part, known) for part in parts)
    return known[id(node)]


def make_importable(place: Path | str) -> None:
    """A folder of YAML files that the user adds may hold the modules that they name."""
    if str(place) not in sys.path:
        sys.path.append(str(place))  # last, so that it hides nothing

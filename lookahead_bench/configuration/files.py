"""Where the YAML files lie: conf/, and the folders that a user adds. Imports no Hydra."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
GROUPS = ("optimizer", "dataset", "model", "schedule", "scale", "gpu", "tracker", "experiment")


def files(group: str, places: Iterable[Path] = (CONF,)) -> Iterator[tuple[str, Path]]:
    """The names that `group=` takes and their files."""
    for place in places:
        for path in sorted((place / group).rglob("*.yaml")):
            yield path.relative_to(place / group).with_suffix("").as_posix(), path


def options(group: str) -> list[str]:
    """The names of conf/, e.g. options("optimizer") -> ["adam", ...]."""
    return [name for name, _ in files(group)]


def make_importable(place: Path | str) -> None:
    """A folder of YAML files that the user adds may hold the modules that they name."""
    if str(place) not in sys.path:
        sys.path.append(str(place))  # last, so that it hides nothing

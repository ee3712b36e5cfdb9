"""What the wrappers of an optimizer state about themselves, read from their classes' sources. Imports no torch.

The one place of these facts is the class: its `level` in the order of composition, the `ranges` of its arguments,
whether it `nests` (a list in an argument is one layer a value), whether it is `elementwise` (replicas cannot mix) and
which of its settings may be `per_parameter` (replicas may differ in them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookahead_bench.configuration import targets


@dataclass(frozen=True)
class Stated:
    """One wrapper's facts, and the names that its constructor takes."""

    path: str
    level: int | tuple[int, ...] | None
    ranges: Mapping[str, str]
    nests: bool
    elementwise: bool
    per_parameter: tuple[str, ...]
    arguments: frozenset[str]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Chain:
    """The wrappers of one optimizer, innermost first."""

    wrappers: tuple[Stated, ...]

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]]) -> Chain:
        return cls(tuple(stated(f"optimizer.wrappers[{i}]._target_", node["_target_"]) for i, node in enumerate(nodes)))

    @property
    def ranges(self) -> dict[str, str]:
        """Every top-level key that a wrapper takes and bounds -> its range."""
        return {key: rule for one in self.wrappers for key, rule in one.ranges.items()}

    @property
    def layered(self) -> frozenset[str]:
        """The keys of which a list means one value a layer."""
        return frozenset(key for one in self.wrappers if one.nests for key in one.arguments)


def stated(key: str, path: str) -> Stated:
    """Errors: ConfigError where the class cannot be had."""
    names = ("level", "ranges", "nests", "elementwise", "per_parameter")
    level, ranges, nests, elementwise, per_parameter = (
        targets.fact(key, path, targets.WRAPPER, name) for name in names
    )
    arguments = targets.arguments(key, path, targets.WRAPPER) or frozenset()
    return Stated(path, level, ranges, nests, elementwise, per_parameter, arguments - {"base"})

"""What may be chosen of a method's settings, in Hydra's own words for a sweep. Imports no torch.

    interval(0.2, 1)                            a number between the two, uniformly; int(interval(2, 20)): an integer
    tag(log, interval(1e-4, 1))                 uniformly in its logarithm
    tag(log, relative, interval(0.03, 30))      so many times the default of the key, which differs from task to task
    choice(5, 10, 20)    choice([5,5],[5,10])   one of them

`about.search` of an optimizer's YAML declares such a space for its keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException

from lookahead_bench.configuration.messages import show
from lookahead_bench.errors import ConfigError

DIGITS = 3  # of a chosen number: an override that people read, and an identity that lasts
TAGS = {"log", "relative"}
FORM = "must be such as tag(log,interval(1e-4,1)), interval(0.2,1) or choice(5,10)"


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """The value at u in [0, 1)."""
        return self.values[int(u * len(self.values))]


@dataclass(frozen=True)
class Interval:
    """A number from low to high. log: uniformly in its logarithm; whole: an integer.

    times: the default that the number is a multiple of, where it has a value for each player.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    times: Mapping[str, float] | None = None

    def at(self, u: float) -> Any:
        """The value at u in [0, 1)."""
        end = self.high + self.whole  # every integer is as wide as any other
        return self.value(self.low * (end / self.low) ** u if self.log else self.low + u * (end - self.low))

    def value(self, number: float) -> Any:
        """The setting that a number between low and high stands for."""
        if self.whole:
            return min(math.floor(number), int(self.high))
        if self.times is not None:
            return {player: rounded(number * default) for player, default in self.times.items()}
        return min(max(rounded(number), self.low), self.high)

    def number(self, value: Any) -> float:
        """The number that a setting stands for, as exact as the setting is."""
        found: float = value if self.times is None else next(value[player] / by for player, by in self.times.items())
        return min(max(found, self.low), self.high)


Dimension = Choice | Interval
Space = dict[str, Dimension]


def rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def dimension(key: str, said: str, default: Any) -> Dimension:
    """What a sentence says. default: the key's value, for a relative one. Errors: ConfigError."""

    def refuse(why: str) -> ConfigError:
        return ConfigError(f"the space of {key}={said}: {why}")

    try:
        parsed = OverridesParser.create().parse_override(f"{key}={said}")
    except HydraException:
        raise refuse(FORM) from None
    if not parsed.is_sweep_override():
        raise refuse(FORM)
    if parsed.is_discrete_sweep():
        return Choice(tuple(parsed.sweep_iterator(lambda value: value)))
    sweep = parsed.value()
    assert isinstance(sweep, IntervalSweep)
    low, high, tags = sweep.start, sweep.end, set(sweep.tags)
    whole = isinstance(low, int) and isinstance(high, int)
    assert low is not None
    assert high is not None
    if tags - TAGS:
        raise refuse(f"has no tag {min(tags - TAGS)!r}; the tags are {' and '.join(sorted(TAGS))}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or "log" not in tags)):
        raise refuse("must go from a lower to a higher number, both above 0 where it is log")
    log = "log" in tags
    if "relative" not in tags:
        return Interval(low, high, log, whole)
    if isinstance(default, Mapping):
        return Interval(low, high, log, times=default)
    if not isinstance(default, int | float):
        raise refuse(f"is relative to {key}={show(default)}, which is no number")
    return Interval(rounded(low * default), rounded(high * default), log)

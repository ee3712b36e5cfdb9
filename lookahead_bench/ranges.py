"""What a value may be, in words that people read and that this module reads too. Imports no torch.

    an integer >= 1                         a finite number >= 0 and < 1       (2^32 and 1e-3 are numbers as well)
    a list of integers >= 1                 a list of 2 finite numbers >= 0 and < 1
    an increasing list of finite numbers > 0 and < 1
    one of none, pullback, reset            true or false                     a text that is not empty         a list
    null or ..., auto or ..., failed or ... any of these, or that word

One sentence is the check, the error message and what `lookahead-bench list` prints.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

Holds = Callable[[Any], bool]
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
NAME = re.compile(r"\w[\w.-]{0,99}")  # a file's name has at most 255 bytes
CADENCE = re.compile(r"([1-9]\d*) ?(epochs?|steps?|oracle_calls?)")


@dataclass(frozen=True)
class Range:
    """The words for what a value may be, and the predicate that they say."""

    text: str
    holds: Holds


@functools.cache
def parse(text: str) -> Range:
    """The range that a sentence says. Errors: ValueError for a sentence of another form."""
    return Range(text, _holds(text))


def require(text: str, name: str, value: object) -> None:
    """Refuse a value that is outside of its range. Errors: ValueError."""
    if not parse(text).holds(value):
        raise ValueError(f"{name} must be {text}, got {value!r}")


def _holds(text: str) -> Holds:
    if found := re.fullmatch(r"(null|auto|failed) or (.*)", text):
        word, inner = None if found[1] == "null" else found[1], _holds(found[2])
        return lambda v: v == word or inner(v)
    if text.startswith("one of "):
        names = text.removeprefix("one of ").split(", ")
        return lambda v: isinstance(v, str) and v in names
    if found := re.fullmatch(r"an? (integer|finite number)( .*)?", text):
        return _number(found[1], found[2] or "")
    if text.startswith("an increasing list"):
        values = _holds(text.replace("an increasing", "a", 1))
        return lambda v: values(v) and list(v) == sorted(set(v))
    if found := re.fullmatch(r"a list of (\d+ )?(integer|finite number)s( .*)?", text):
        length, each = found[1], _number(found[2], found[3] or "")
        return lambda v: isinstance(v, list | tuple) and (not length or len(v) == int(length)) and all(map(each, v))
    known: dict[str, Holds] = {
        "true or false": lambda v: isinstance(v, bool),
        "a list": lambda v: isinstance(v, list | tuple),
        "a text that is not empty": lambda v: isinstance(v, str) and v != "",
        "a name of at most 100 letters, digits, _, - and .": lambda v: (
            isinstance(v, str) and NAME.fullmatch(v) is not None
        ),
        "names of at most 100 letters, digits, _, - and ., with slashes between": lambda v: (
            isinstance(v, str) and all(map(NAME.fullmatch, v.split("/")))
        ),
        "auto, cpu, cuda or cuda:N": lambda v: (
            isinstance(v, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?", v) is not None
        ),
        "a count and its unit, such as 2epochs, 100steps or 500oracle_calls": lambda v: (
            isinstance(v, str) and CADENCE.fullmatch(v) is not None
        ),
    }
    if text not in known:
        raise ValueError(f"{text!r}: is no range; such as 'an integer >= 1' or 'null or a finite number > 0 and < 1'")
    return known[text]


def _number(kind: str, bounds: str) -> Holds:
    limits = [(SIGNS[sign], _value(value)) for sign, value in re.findall(r"(>=|<=|>|<) (\S+)", bounds)]
    if "".join(f" {s} {v} and" for s, v in re.findall(r"(>=|<=|>|<) (\S+)", bounds)).removesuffix(" and") != bounds:
        raise ValueError(f"{bounds.strip()!r}: are no bounds; such as '>= 0 and < 1'")
    is_kind = is_integer if kind == "integer" else is_finite
    return lambda v: is_kind(v) and all(holds(v, limit) for holds, limit in limits)


def _value(text: str) -> float:
    base, _, power = text.partition("^")
    return float(base) ** float(power) if power else float(text)


def is_number(value: object) -> bool:
    """Python's and NumPy's numbers; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)  # type: ignore[arg-type]  # a Real is what isfinite takes

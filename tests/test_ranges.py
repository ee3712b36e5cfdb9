"""The sentences: each is its own check."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from lookahead_bench.ranges import parse, require

CASES: dict[str, tuple[list[Any], list[Any]]] = {  # what is in, what is not
    "an integer >= 1": ([1, 7, np.int64(3)], [0, -1, 1.0, True, "1", None, [1]]),
    "an integer >= 0 and < 2^32": ([0, 2**32 - 1], [-1, 2**32]),
    "an integer": ([-5], [0.5]),
    "a finite number": ([-5, 0.5, np.float32(1)], [math.inf, math.nan, False, "1"]),
    "a finite number > 0": ([1e-300, 1], [0, -1e-300, math.inf]),
    "a finite number >= 0 and < 1": ([0, 0.5], [1, 1.0, -0.1, math.nan]),
    "a finite number >= -1.5 and <= 1e-3": ([-1.5, 1e-3], [-1.6, 0.002]),
    "a list of integers >= 1": ([[], [1, 2], (3,)], [[0], [1.5], 1, "12"]),
    "a list of 2 finite numbers >= 0 and < 1": ([[0, 0.9], (0.5, 0.5)], [[0], [0, 0, 0], [0, 1]]),
    "one of none, pullback, reset": (["none", "reset"], ["no", "none, pullback", None, 0]),
    "true or false": ([True, False], [0, 1, "true", None]),
    "a text that is not empty": (["x", " "], ["", 1, None]),
    "a name of at most 100 letters, digits, _, - and .": (
        ["resnet20", "a-b_c.d"],
        ["", ".hidden", "../x", "a/b", "a b", 3],
    ),
    "null or an integer >= 1": ([None, 1], [0, "null"]),
    "an increasing list of finite numbers > 0 and < 1": ([[], [0.1, 0.5]], [[0.5, 0.1], [0.1, 0.1], [0.5, 1.0], 0.5]),
    "a list": ([[], [None, "x"]], [None, "x"]),
    "auto or true or false": (["auto", True, False], ["on", None, 1]),
    "auto or an integer >= 1": (["auto", 2], [0, "2"]),
    "auto, cpu, cuda or cuda:N": (["auto", "cuda", "cuda:12"], ["tpu", "cuda:", "cuda:x", None]),
    "names of at most 100 letters, digits, _, - and ., with slashes between": (
        ["a", "theory/games"],
        ["", "/a", "a//b", "a/../b"],
    ),
    "a count and its unit, such as 2epochs, 100steps or 500oracle_calls": (
        ["2epochs", "1 epoch", "100 steps", "5oracle_calls"],
        ["0steps", "steps", "2", "-1steps", "2 weeks", 3],
    ),
    "null or one of a, b": ([None, "b"], ["c"]),
}


@pytest.mark.parametrize("text", CASES)
def test_holds(text: str) -> None:
    inside, outside = CASES[text]
    assert parse(text).text == text
    assert [v for v in inside if not parse(text).holds(v)] == []
    assert [v for v in outside if parse(text).holds(v)] == []


@pytest.mark.parametrize(
    "text",
    ["", "a number", "an integer > ", "an integer >= 1 or < 0", "an integer >= one", "a list of words", "positive",
     "a finite number >= 0 and", "a finite number >= 0 < 1"],
)  # fmt: skip
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of `float` too
        parse(text)


def test_require() -> None:
    require("an integer >= 1", "k", 1)
    with pytest.raises(ValueError, match=r"^k must be an integer >= 1, got '5'$"):
        require("an integer >= 1", "k", "5")


def test_words_need_no_torch() -> None:
    code = "import sys, lookahead_bench.ranges, lookahead_bench.composition; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The space of a search, in Hydra's words for a sweep; every value by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tiny_runs import CONF

from lookahead_bench import ranges
from lookahead_bench.configuration import rules
from lookahead_bench.configuration.files import options
from lookahead_bench.configuration.wrappers import Chain
from lookahead_bench.errors import ConfigError
from lookahead_bench.search.space import dimension

LAST = 1 - 2**-53  # the last double below 1


@pytest.mark.parametrize(
    ("said", "default", "u", "value"),
    [
        ("interval(0.2, 1)", 0.5, 0.0, 0.2),
        ("interval(0.2, 1)", 0.5, 0.5, 0.6),
        ("interval(0.2, 1)", 0.5, LAST, 1.0),
        ("interval(0.2, 1)", 0.5, 1 / 3, 0.467),  # three digits
        ("tag(log, interval(0.01, 1))", None, 0.5, 0.1),
        ("tag(log, relative, interval(0.1, 10))", 0.02, 0.5, 0.02),
        ("tag(log, relative, interval(0.1, 10))", 0.02, 0.0, 0.002),
        ("tag(relative, interval(1, 3))", {"g": 1e-4, "d": 2e-4}, 0.5, {"g": 2e-4, "d": 4e-4}),
        ("int(interval(2, 4))", 5, 0.0, 2),
        ("int(interval(2, 4))", 5, 0.34, 3),
        ("int(interval(2, 4))", 5, LAST, 4),
        ("choice(5, 10, 20)", 5, 0.34, 10),
        ("choice([5,5], [5,10])", [5, 5], 0.5, [5, 10]),
        ("choice(5, 10, 20)", 5, LAST, 20),
    ],
)
def test_a_sentence_and_what_it_gives(said: str, default: Any, u: float, value: Any) -> None:
    assert dimension("optimizer.x", said, default).at(u) == value


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("5", "must be such as"),
        ("interval(", "must be such as"),
        ("interval(1, 0.2)", "from a lower to a higher"),
        ("tag(log, interval(0, 1))", "above 0"),
        ("tag(lgo, interval(0.1, 1))", "no tag 'lgo'"),
        ("tag(relative, interval(0.1, 1))", "which is no number"),
    ],
)
def test_what_is_no_space_is_refused_in_a_line(said: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        dimension("optimizer.x", said, None)
    assert "\n" not in str(refused.value)
    assert f"optimizer.x={said}" in str(refused.value)


@pytest.mark.parametrize("name", options("optimizer"))
def test_every_optimizer_declares_a_space_within_its_ranges(name: str) -> None:
    node = yaml.safe_load((CONF / "optimizer" / f"{name}.yaml").read_text())
    chain = Chain.of(node["wrappers"])
    said = {"decay": "a finite number > 0 and < 1", **rules.BASE, **chain.ranges}
    space = node["about"]["search"]
    assert next(iter(space)) == "lr"  # methods with the same first keys are tried at the same points
    assert {"k", "alpha", "rho"} & node.keys() <= space.keys() <= node.keys()
    for key, text in space.items():
        found = dimension(f"optimizer.{key}", text, 0.1)
        for value in (found.at(u) for u in (0.0, 0.3, 0.6, LAST)):
            for one in value if isinstance(value, list) and key in chain.layered else [value]:
                ranges.require(said[key], key, one)

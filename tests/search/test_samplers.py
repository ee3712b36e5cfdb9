"""Where trials stand: repeatable, growing without moving, and told to a database that may be lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from lookahead_bench.errors import ConfigError
from lookahead_bench.search.samplers import TPE, Halton, Points, Random, Values
from lookahead_bench.search.space import Choice, Interval, Space

SPACE: Space = {"lr": Interval(1e-3, 1.0, log=True), "k": Choice(([5, 5], [5, 10])), "n": Interval(2, 9, whole=True)}


class Tried(NamedTuple):
    values: Values
    score: float


@pytest.mark.parametrize("sampler", [Halton(5, 0, 3), Random(5, 0, 3)])
def test_more_points_begin_with_fewer(sampler: Points) -> None:
    more = sampler.points(3, 9)
    assert np.array_equal(sampler.points(3, 4), more[:4])
    assert np.array_equal(sampler.points(2, 9), more[:, :2])  # a key more moves no other
    assert not np.array_equal(type(sampler)(5, 0, 4).points(3, 9), more)


def test_halton_points_are_spread_evenly() -> None:
    """The van der Corput property in base 2: one of 8 points in every eighth."""
    assert sorted(np.floor(8 * Halton(8, 0, 0).points(2, 8)[:, 0])) == list(range(8))


def follow(sampler: TPE, count: int) -> list[Tried]:
    """A search for a high lr, of which the third trial diverges."""
    told: list[Tried] = []
    for number in range(count):
        values = sampler.values(SPACE, told)
        told.append(Tried(values, -math.inf if number == 2 else values["lr"]))
        sampler.record("a/b", SPACE, told)
    return told


def test_tpe_repeats_goes_on_and_learns(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="needs optuna")
    database = f"sqlite:///{tmp_path}/trials.db"
    told = follow(TPE(25, 0, 1, database), 25)
    assert [one.values for one in follow(TPE(5, 0, 1, None), 5)] == [one.values for one in told[:5]]
    assert TPE(25, 0, 2, None).values(SPACE, told) != TPE(25, 0, 1, None).values(SPACE, told)
    first, last = ([math.log10(one.values["lr"]) for one in part] for part in (told[:10], told[15:]))
    assert np.median(last) > np.median(first) + 0.3
    stored = optuna.load_study(study_name="a/b", storage=database).trials
    assert [trial.value for trial in stored] == [one.score for one in told]
    assert stored[3].params == {"lr": told[3].values["lr"], "n": told[3].values["n"], "k": str(told[3].values["k"])
                                .replace(" ", "")}  # fmt: skip
    fresh = f"sqlite:///{tmp_path}/again.db"
    TPE(25, 0, 1, fresh).record("a/b", SPACE, told)
    assert len(optuna.load_study(study_name="a/b", storage=fresh).trials) == 25


def test_a_database_that_is_none_is_told_in_a_line() -> None:
    pytest.importorskip("optuna", reason="needs optuna")
    with pytest.raises(ConfigError, match=r"^search.storage=sqlite:////nowhere/x.db: .*unable to open") as refused:
        TPE(1, 0, 1, "sqlite:////nowhere/x.db").record("a/b", SPACE, [Tried({"lr": 0.1, "k": [5, 5], "n": 3}, 1.0)])
    assert "\n" not in str(refused.value)

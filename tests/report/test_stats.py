"""Statistics on values and curves made by hand: ties, one seed, all diverged, a target never reached or lost again."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lookahead_bench.report.paired import holm, paired, seeds_to_decide, signs
from lookahead_bench.report.ranking import ranks_over_seeds, ranks_over_tasks
from lookahead_bench.report.stats import mean
from lookahead_bench.report.targets import profile, reached, typical

INF = math.inf


def test_the_interval_by_hand() -> None:
    found = mean([1.0, 2.0, 3.0, 6.0])  # mean 3, s^2 = (4 + 1 + 0 + 9) / 3, t(0.975, 3) = 3.1824463
    assert (found.value, found.low, found.high, found.n) == (3.0, 1.0, 6.0, 4)
    assert found.deviation == pytest.approx(math.sqrt(14 / 3))
    assert found.half_width == pytest.approx(3.1824463 * math.sqrt(14 / 3) / 2, rel=1e-7)
    assert found.times(-1) == mean([-1.0, -2.0, -3.0, -6.0])


def test_no_interval_of_one_seed_and_a_range_of_two() -> None:
    assert (mean([0.5]).deviation, mean([0.5]).half_width) == (None, None)
    assert (mean([0.5]).text("loss"), mean([0.5]).cell("loss")) == ("0.5 (1 seed)", "0.5")
    two = mean([0.91, 0.95])
    assert two.half_width is None
    assert two.deviation == pytest.approx(0.04 / math.sqrt(2))
    assert (two.text("accuracy"), two.cell("loss")) == ("91.00 to 95.00 %", "0.91 to 0.95")
    assert mean([0.9, 0.9]).text("accuracy") == "90.00 %"
    assert mean([0.9, 0.9, 0.9]).text("accuracy") == "90.00 ± 0.00 %"
    assert mean([]).text("accuracy") == mean([]).text("loss") == "-"


def test_the_mean_is_as_exact_as_its_interval() -> None:
    assert mean([50.39, 50.40, 50.41]).text("loss") == "50.400 ± 0.025"
    assert mean([1e-9, 2e-9, 3e-9]).text("loss") == "2e-09 ± 2.5e-09"
    assert mean([123456.0, 123457.0, 123458.0]).text("loss") == "123457.0 ± 2.5"
    assert mean([math.nan, 1.0, 2.0]).text("loss").startswith("nan")  # never left out


# ---------------------------------------------------------------------------------------------------------- paired


def test_the_paired_test_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 sqrt(3) on two degrees of freedom, whose distribution is known in closed form."""
    found = paired({1: 2.0, 2: 4.0, 3: 6.0, 4: 9.0}, {1: 1.0, 2: 2.0, 3: 3.0, 5: 0.0})  # 4 and 5 are nobody's pair
    t = 2 * math.sqrt(3)
    assert (found.n, found.test, found.sign) == (3, "t", 1)
    assert found.effect == pytest.approx(2.0)
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert found.difference == mean([1.0, 2.0, 3.0])
    back = paired({1: 1.0, 2: 2.0, 3: 3.0}, {1: 2.0, 2: 4.0, 3: 6.0})
    assert (back.p, back.sign) == (pytest.approx(found.p), -1)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_seeds_are_no_test(n: int) -> None:
    found = paired({seed: 1.0 + seed for seed in range(n)}, dict.fromkeys(range(n), 0.0))
    assert (found.n, found.p) == (n, None)
    assert found.sign == (1 if n else 0)


def test_ties_and_differences_without_a_spread() -> None:
    same = dict.fromkeys(range(5), 0.5)
    assert (paired(same, same).p, paired(same, same).sign, paired(same, same).effect) == (1.0, 0, None)
    ahead = paired(dict.fromkeys(range(5), 1.5), same)  # five heads of five tosses, on either side
    assert (ahead.p, ahead.test, ahead.effect) == (pytest.approx(2 / 2**5), "sign", None)


def test_a_diverged_run_is_worse_than_every_other_and_no_number() -> None:
    fine = {seed: 0.1 * seed for seed in range(8)}
    lost = dict.fromkeys(range(6), -INF) | {6: 100.0, 7: 100.0}
    found = paired(lost, fine)
    assert (found.n, found.lost, found.other_lost, found.sign) == (8, 6, 0, -1)
    assert found.p == pytest.approx(stats.binomtest(2, 8).pvalue)
    assert found.difference.n == 2
    nobody = paired(dict.fromkeys(range(8), -INF), dict.fromkeys(range(8), -INF))
    assert (nobody.p, nobody.sign, nobody.effect) == (1.0, 0, None)
    assert paired(fine, dict.fromkeys(range(8), -INF)).p == pytest.approx(2 / 2**8)


def test_signs_leave_out_ties() -> None:
    assert signs([1, 1, 0, -1]) == pytest.approx(stats.binomtest(2, 3).pvalue)
    assert signs([0, 0]) == 1.0


def test_holm_by_hand() -> None:
    """Smallest first: 3 x 0.01, then 2 x 0.03, then the larger of that and 0.04; one without a test counts for none."""
    assert holm([0.04, None, 0.01, 0.03]) == [pytest.approx(0.06), None, pytest.approx(0.03), pytest.approx(0.06)]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_seeds_to_decide_by_simulation() -> None:
    n = seeds_to_decide(0.8)
    assert n == 15  # as in the tables of Cohen 1988
    draws = np.random.default_rng(1).normal(0.8, 1.0, size=(20_000, 15))
    assert (stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.82, abs=0.015)
    assert (stats.ttest_1samp(draws[:, :14], 0.0, axis=1).pvalue < 0.05).mean() < 0.8
    assert seeds_to_decide(-0.8) == 15
    assert seeds_to_decide(50.0) == 3
    assert [seeds_to_decide(effect) for effect in (None, 0.0, INF, math.nan, 1e-6)] == [None] * 5
    assert seeds_to_decide(0.01) == pytest.approx((1.959964 + 0.841621) ** 2 / 0.01**2, rel=1e-3)


# ----------------------------------------------------------------------------------------------------------- ranks


def test_ranks_over_seeds() -> None:
    shared = np.array([0.0, 5.0, 10.0, 15.0])  # what a seed does to every method is no doubt about their order
    scores = pd.DataFrame({"b": shared + 1, "a": shared + 2, "c": shared - 1})
    found = ranks_over_seeds(scores)
    assert found == {"b": (2, 2, 2), "a": (1, 1, 1), "c": (3, 3, 3)}
    assert found["a"].text() == "1 (1 to 1)"
    torn = ranks_over_seeds(pd.DataFrame({"a": [0.0, 1.0, 0.0, 1.0], "b": [1.0, 0.0, 1.0, 0.1], "c": [-INF] * 4}))
    assert (torn["a"].low, torn["a"].high, torn["c"]) == (1, 2, (3, 3, 3))
    assert ranks_over_seeds(pd.DataFrame({"a": [1.0], "b": [1.0]})) == {"a": (1.5, None, None), "b": (1.5, None, None)}


def test_ranks_over_tasks_are_means_of_ranks() -> None:
    found = ranks_over_tasks(pd.DataFrame({"a": [3.0, 0.9, 7.0], "b": [2.0, 0.8, 9.0], "c": [1.0, -INF, 8.0]}))
    assert [found[m].value for m in "abc"] == pytest.approx([5 / 3, 5 / 3, 8 / 3])
    assert found["a"].low == 1
    assert found["a"].high == 3


# --------------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("scores", "cost", "kept"),
    [
        ([0.1, 0.5, 0.9, 0.95], 20, True),
        ([0.1, 0.2, 0.3, 0.4], INF, False),  # never
        ([0.1, 0.9, 0.2, 0.3], 10, False),  # reached and lost
        ([0.1, 0.9, math.nan, 0.95], 10, True),
        ([math.nan] * 4, INF, False),
        ([0.8, 0.1, 0.1, 0.8], 0, True),  # exactly the target, before the first step
        ([0.1], INF, False),
        ([], INF, False),
    ],
)
def test_reaching_a_target(scores: list[float], cost: float, kept: bool) -> None:
    assert reached([0, 10, 20, 30][: len(scores)], scores, 0.8) == (cost, kept)


def test_what_is_typical_over_seeds() -> None:
    assert typical([10, INF, 30]) == 30
    assert typical([10, INF, INF]) == INF
    assert typical([10, 20, INF, INF]) == INF
    assert typical([]) == INF


def test_a_performance_profile_by_hand() -> None:
    """a is the cheapest on two tasks of four, b on one, at twice and at four times b's cost; nobody solves the last."""
    costs = pd.DataFrame({"a": [10, 10, 40, INF], "b": [20, INF, 10, INF]}, index=list("wxyz"))
    found = profile(costs)
    assert list(found.index) == [1, 2, 4]
    assert list(found["a"]) == [2 / 4, 2 / 4, 3 / 4]
    assert list(found["b"]) == [1 / 4, 2 / 4, 2 / 4]
    free = profile(pd.DataFrame({"a": [0.0], "b": [10.0]}))  # met by the initial weights
    assert list(free.index) == [1]
    assert list(free.iloc[0]) == [1, 0]
    assert list(profile(pd.DataFrame({"a": [INF]}))["a"]) == [0]

"""What trials say, by hand and by counting every possible draw."""

from __future__ import annotations

import itertools
import math

import pytest

from lookahead_bench.report.trials import best_so_far, expected_best, good_range


def test_expected_best_by_hand() -> None:
    """Two of {1, 2, 3} with replacement: the best is 1 in one of nine cases, 2 in three, 3 in five."""
    assert expected_best([2, 3, 1], 1)[:2] == pytest.approx((2, math.sqrt(2 / 3)))
    found = expected_best([2, 3, 1], 2)
    mean = (1 * 1 + 3 * 2 + 5 * 3) / 9
    variance = (1 * 1 + 3 * 4 + 5 * 9) / 9 - mean**2
    assert found == pytest.approx((mean, math.sqrt(variance), 1, 3))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_expected_best_over_every_draw(n: int) -> None:
    scores = [0.9, 0.1, 0.5, 0.5, -2.0]
    draws = sorted(max(draw) for draw in itertools.product(scores, repeat=n))
    mean = sum(draws) / len(draws)
    deviation = math.sqrt(sum((best - mean) ** 2 for best in draws) / len(draws))
    low, high = (draws[math.ceil(q * len(draws) - 1e-9) - 1] for q in (0.1, 0.9))
    assert expected_best(scores, n) == pytest.approx((mean, deviation, low, high))


def test_best_so_far() -> None:
    assert best_so_far([0.2, 0.1, 0.5, 0.4]) == [0.2, 0.2, 0.5, 0.5]


def test_good_range_by_hand() -> None:
    """Within 2 % of 0.9 is from 0.882 on; of a score of which less is better, -100 is within 2 % of -98.1."""
    found = good_range([0.001, 0.01, 0.1, 1.0, 10.0], [0.5, 0.89, 0.9, 0.885, 0.88])
    assert (found.low, found.high, found.share) == (0.01, 1.0, 3 / 5)
    assert found.decades == pytest.approx(2)
    assert good_range([0.1, 1.0, 10.0], [-98.1, -100.0, -101.0])[:2] == (0.1, 1.0)

"""Schedules against values worked out by hand."""

from __future__ import annotations

import pytest

from lookahead_bench.schedule import Constant, Cosine, Linear, Step


def test_constant() -> None:
    assert [Constant()(p) for p in (0.0, 0.3, 1.0)] == [1.0, 1.0, 1.0]


def test_step_drops_exactly_at_the_papers_epochs() -> None:
    schedule = Step([0.3, 0.6, 0.8], 0.2)
    rates = [schedule(epoch / 200) for epoch in (0, 59, 60, 119, 120, 159, 160, 199)]
    assert rates == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008])


def test_cosine() -> None:
    assert [Cosine()(p) for p in (0.0, 0.5, 1.0, 1.2)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert Cosine(warmup=0.5)(0.25) == pytest.approx(0.5 * (1 + 2**-0.5) / 2)


def test_linear() -> None:
    assert [Linear()(p) for p in (0.0, 0.25, 1.0, 1.2)] == pytest.approx([1.0, 0.75, 0.0, 0.0])
    assert [Linear(warmup=0.2)(p) for p in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0.0, 0.5, 1.0, 0.5])

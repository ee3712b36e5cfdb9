"""Schedules against values by hand, and every YAML of them against its constructor."""

from __future__ import annotations

import math

import pytest
from omegaconf import OmegaConf

from lookahead_bench.build import schedule_of
from lookahead_bench.configuration.files import CONF, options
from lookahead_bench.schedule import Constant, Cosine, Linear, Plateau, Step


def test_values_by_hand() -> None:
    assert [Constant()(p) for p in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    step = Step(milestones=[0.3, 0.6, 0.8], factor=0.2)
    assert [step(p) for p in (0.0, 0.29, 0.3, 0.6, 0.8, 1.0)] == [1.0, 1.0, 0.2, 0.2**2, 0.2**3, 0.2**3]
    cosine = Cosine()
    assert cosine(0.0) == 1.0
    assert cosine(0.5) == pytest.approx(0.5)
    assert cosine(0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert cosine(1.0) == pytest.approx(0.0)
    assert Cosine(warmup=0.2)(0.1) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.1)) / 2)
    linear = Linear(warmup=0.2)
    assert [linear(p) for p in (0.0, 0.1, 0.2)] == [0.0, 0.5, 1.0]
    assert linear(0.6) == pytest.approx(0.5)
    assert linear(1.0) == 0.0


@pytest.mark.parametrize("name", options("schedule"))
def test_every_schedule_is_a_finite_multiplier_up_to_and_beyond_the_end(name: str) -> None:
    node = OmegaConf.to_container(OmegaConf.load(CONF / "schedule" / f"{name}.yaml"))
    assert isinstance(node, dict)
    schedule = schedule_of(node)
    values = [schedule(i / 100) for i in range(105)]
    assert all(math.isfinite(v) and 0 <= v <= 1 + 1e-12 for v in values)
    assert max(values) > 0


def test_plateau_by_hand() -> None:
    schedule = Plateau(patience=2, factor=0.5)
    costs = [5.0, 4.0, 4.0, 4.5, 3.9, 3.9, math.nan, 4.0, 4.0, 1.0]
    changed = [schedule.observe(cost) for cost in costs]
    assert changed == [False, False, False, True, False, False, True, False, True, False]
    assert schedule(0.3) == 0.125
    first, second = Plateau(2, 0.5), Plateau(2, 0.5)
    for cut in range(len(costs)):
        first = Plateau(2, 0.5)
        for cost in costs[:cut]:
            first.observe(cost)
        second.load_state_dict(first.state_dict())
        assert [second.observe(cost) for cost in costs[cut:]] == changed[cut:]
        assert second(0.9) == 0.125


def test_schedules_of_progress_watch_nothing() -> None:
    for schedule in (Constant(), Cosine(0.1), Linear(), Step([0.5], 0.2)):
        assert schedule.observe(1.0) is False
        assert schedule.state_dict() == {}

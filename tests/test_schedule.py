"""Schedules against values by hand, and every YAML of them against its constructor."""

from __future__ import annotations

import math

import pytest
from omegaconf import OmegaConf

from lookahead_bench.build import schedule_of
from lookahead_bench.configuration.files import CONF, options
from lookahead_bench.schedule import Constant, Cosine, Linear, Step


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

"""Every study under conf/experiment plans sound runs."""

from __future__ import annotations

import pytest

from lookahead_bench import configuration
from lookahead_bench.configuration.compose import jobs
from lookahead_bench.configuration.files import options


@pytest.mark.parametrize("name", options("experiment"))
def test_every_study_plans_sound_runs(name: str) -> None:
    planned = jobs([f"experiment={name}"])
    assert planned
    for job in (planned[0], planned[-1]):
        assert configuration.load(job).run_id

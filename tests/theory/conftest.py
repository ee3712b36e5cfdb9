"""Runs of the real thing, quickly: the configuration from YAML and overrides, the session's trainer, the run's rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lookahead_bench import configuration
from lookahead_bench.build import resolve
from lookahead_bench.runs.results import read_metrics
from lookahead_bench.runs.run import execute
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.trainer import Trainer

Rows = Callable[..., list[pd.DataFrame]]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """rows(*overrides) -> one frame a replica: the fast weights before the first step, then after every step."""

    def call(*overrides: str) -> list[pd.DataFrame]:
        settings = configuration.load(["tracker=none", f"results_dir={tmp_path}", *overrides])
        frames = [pd.DataFrame(read_metrics(result.path / "metrics.jsonl")) for result in execute(settings)]
        return [f[(f.weights == "fast") & ((f.split == "train") | (f.step == 0))].reset_index() for f in frames]

    return call


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """trainer(*overrides) -> the trainer of a run, at its start."""

    def call(*overrides: str) -> Trainer:
        settings = configuration.load(["tracker=none", f"results_dir={tmp_path}", *overrides])
        return Session(resolve(settings), [(RunDirectory(one), None) for one in settings.seeds()]).build()

    return call

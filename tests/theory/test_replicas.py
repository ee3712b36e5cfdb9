"""Replicas are the runs done alone: the same rows, the same weights; one that diverges disturbs nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import tensors

from lookahead_bench import configuration
from lookahead_bench.runs.checkpoint import load_newest
from lookahead_bench.runs.results import read_metrics
from lookahead_bench.runs.run import RunResult, execute

CASES = [
    ["dataset=noisy_quadratic", "dataset.dim=7", "optimizer=lookahead", "optimizer.momentum=0.5"],
    ["dataset=quadratic_game", "dataset.noise=0.1", "optimizer=la_eg", "resample=call"],
    ["dataset=bilinear", "dataset.batch_size=9", "dataset.dim=20", "optimizer=past_extragradient", "optimizer.lr=0.05"],
    ["dataset=global_forsaken", "dataset.spread=0.5", "optimizer=rapp"],
    ["dataset=geman_mcclure", "dataset.spread=0.5", "optimizer=first_moment_adam", "optimizer.beta1=-0.5"],
    ["dataset=polar_game", "dataset.spread=0.2", "optimizer=lookahead_minmax"],
    ["dataset=polar_game", "dataset.spread=0.2", "optimizer=rapp", "clip_norm=0.3"],
    ["dataset=vi_gan_bilinear", "dataset.spread=0.2", "dataset.noise=0.2", "optimizer=alt_gda"],
]


def together_and_alone(path: Path, overrides: list[str], replicas: int) -> list[tuple[RunResult, RunResult]]:
    common = ["tracker=none", "max_steps=30", *overrides]
    together = execute(configuration.load([*common, f"results_dir={path}/together", f"replicas={replicas}"]))
    alone = configuration.load([*common, f"results_dir={path}/alone"])
    return [(one, execute(alone.with_seed(alone["seed"] + r))[0]) for r, one in enumerate(together)]


def assert_same_rows(one: RunResult, other: RunResult) -> None:
    assert one.run_id == other.run_id
    assert one.status == other.status
    mine, theirs = (pd.DataFrame(read_metrics(r.path / "metrics.jsonl")).drop(columns="seconds") for r in (one, other))
    assert list(mine.columns) == list(theirs.columns)
    numeric = mine.select_dtypes("number").columns
    np.testing.assert_allclose(mine[numeric], theirs[numeric], rtol=1e-6, atol=1e-12)


def assert_same(one: RunResult, other: RunResult, *, bits: bool = True) -> None:
    assert_same_rows(one, other)
    weights = [load_newest(r.path / "checkpoints") for r in (one, other)]
    assert all(w is not None for w in weights)
    first, second = (list(tensors(w["task"])) for w in weights if w)
    assert first
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0.0 if bits else 1e-9, atol=0.0 if bits else 1e-12)


@pytest.mark.parametrize("overrides", CASES, ids=lambda o: o[0])
def test_replicas_are_the_runs_done_alone(tmp_path: Path, overrides: list[str]) -> None:
    for one, other in together_and_alone(tmp_path, overrides, 3):
        assert_same(one, other, bits="clip_norm=0.3" not in overrides)  # a norm is a sum, rounded in its own order


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("extragradient", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.15"]),
        ("rapp", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.2"]),
        ("la_eg", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.15"]),
        ("polyak", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.1"]),
        ("lookahead", ["dataset=polar_game", "dataset.spread=1.0", "optimizer.lr=1.0"]),
        ("la_eg", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.15", "resample=call"]),
        ("alt_gda", ["dataset=forsaken", "dataset.spread=1.2", "optimizer.lr=0.15"]),
    ],
)
def test_a_diverging_replica_ends_as_it_does_alone_and_disturbs_no_other(
    tmp_path: Path, optimizer: str, settings: list[str]
) -> None:
    """Down to the last row: counts, and the slow or average weights of the step that could not be taken."""
    pairs = together_and_alone(tmp_path, [f"optimizer={optimizer}", *settings], 8)
    assert {"done", "diverged"} == {one.status for one, _ in pairs}
    for one, other in pairs:
        assert_same_rows(one, other)
        for key in ("status", "step", "oracle_calls", "samples"):
            assert one.record[key] == other.record[key]
        if one.status == "done":
            assert_same(one, other)

"""One rule for the statistics that weights are scored with, and what today's mixed rule does instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import final_state, rows

from lookahead_bench.build import resolve
from lookahead_bench.configuration import Config, load
from lookahead_bench.optim import evaluation_weights
from lookahead_bench.runs.run import execute

# Seven steps of a network with BatchNorm, scored after each: Lookahead syncs after the second, the fourth, the sixth.
RESNET = [
    "model=resnet20", "model.widths=[4,8]", "model.blocks=[1,1]", "max_steps=7", "evaluate_every=1steps",
    "tracker=none", "gpu=cpu", "gpu.threads=1",
]  # fmt: skip
LOOKAHEAD = ["optimizer=lookahead", "optimizer.k=2"]


def done(results: Path, *overrides: str) -> tuple[Config, Path]:
    config = load([*RESNET, f"results_dir={results}", *overrides])
    (result,) = execute(config)
    return config, result.path


def scores(path: Path, weights: str) -> list[tuple[float, float]]:
    """(loss, accuracy) on the validation split before the first step and after every one."""
    found = [row for row in rows(path) if row["split"] == "val" and row["weights"] == weights]
    assert [row["step"] for row in found] == list(range(8))
    return [(row["loss"], row["accuracy"]) for row in found]


@pytest.mark.parametrize("rule", ["estimated", "running", "mixed"])
def test_the_base_alone_and_lookahead_with_alpha_1_have_one_score(rule: str, tmp_path: Path) -> None:
    """Bit for bit at every sync; between two, what the slow weights have is the rule's."""
    _, sgd = done(tmp_path, "optimizer=sgd", f"batchnorm={rule}")
    _, lookahead = done(tmp_path, *LOOKAHEAD, "optimizer.alpha=1", f"batchnorm={rule}")
    base, fast, slow = scores(sgd, "fast"), scores(lookahead, "fast"), scores(lookahead, "slow")
    assert fast == base
    assert slow[::2] == base[::2]
    # The slow weights stay where they are until the next sync. Estimated statistics are a function of the weights: so
    # does the score. Others are those of the fast weights, and under the mixed rule they change kind at every sync.
    stays = [after == at for at, after in zip(slow[2:-1:2], slow[3::2], strict=True)]
    assert stays == [rule == "estimated"] * 3


def test_running_statistics_are_those_of_the_fast_weights(tmp_path: Path) -> None:
    """As official code does: nothing but the parameters is put in place."""
    config, path = done(tmp_path, *LOOKAHEAD, "batchnorm=running")
    assert scores(path, "slow")[-1] == scored_by_hand(config, path)
    other = replace(config, nodes={**config.nodes, "batchnorm": "estimated"})
    assert scores(execute(other)[0].path, "slow")[-1] != scored_by_hand(config, path)


def scored_by_hand(config: Config, path: Path) -> tuple[float, float]:
    """The slow weights of the last checkpoint in a network in evaluation mode."""
    parts, state = resolve(config), final_state(path)
    task: Any = parts.task([config])
    optimizer, _ = parts.optimizer(task, [config], fused=False)
    task.load_state_dict(state["task"])
    optimizer.load_state_dict(state["optimizer"])
    with evaluation_weights(optimizer), torch.no_grad():
        task.networks["model"].eval()
        split, found = next(iter(task.evaluate(0)))
    assert split == "val"
    return found["loss"].item(), found["accuracy"].item()

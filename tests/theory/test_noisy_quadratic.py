"""Monte Carlo over seeds against the recursion of Lookahead 2019, within its own standard error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lookahead_bench import theory
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.trainer import Trainer

DIM, LR, SEEDS = 10, 0.5, 600
CURVATURE = 1 / np.arange(1.0, DIM + 1)
METHODS: dict[str, tuple[list[str], int | Sequence[int], float | Sequence[float]]] = {
    "sgd": (["optimizer=sgd"], 1, 1.0),
    "lookahead": (["optimizer=lookahead", "optimizer.k=5", "optimizer.alpha=0.5"], 5, 0.5),
    "multilayer": (["optimizer=multilayer", "optimizer.k=[3,4]", "optimizer.alpha=[0.5,0.8]"], [3, 4], [0.5, 0.8]),
    "three layers": (["optimizer=multilayer", "optimizer.k=[2,2,3]", "optimizer.alpha=0.5"], [2, 2, 3], 0.5),
}
TASK = ["dataset=noisy_quadratic", f"dataset.dim={DIM}", "dataset.start=2.0", "dataset.spread=0.5",
        f"optimizer.lr={LR}", f"replicas={SEEDS}"]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_mean_and_variance_of_every_dimension(trainer: Callable[..., Trainer], method: str) -> None:
    overrides, k, alpha = METHODS[method]
    running = trainer(*TASK, *overrides)
    task = running.task
    assert isinstance(task, ClosedForm)
    cycle = theory.noisy_cycle(CURVATURE, 1 / CURVATURE, LR, k, alpha)
    steps = int(np.prod([n for n, _ in theory.layers(k, alpha)]))
    for cycles in (1, 4, 60 // steps + 5):
        while running.step < cycles * steps:
            running.take_step()
        mean, variance = cycle.after(cycles, np.full(DIM, 2.0), np.full(DIM, 0.25))
        found = task.point[0].numpy()
        assert np.abs((found.mean(0) - mean) / np.sqrt(variance / SEEDS)).max() < 4.5
        assert np.abs(found.var(0, ddof=1) / variance - 1).max() < 4.5 * np.sqrt(2 / SEEDS)


@pytest.mark.parametrize("method", ["sgd", "lookahead"])
def test_expected_loss_is_the_recursions(trainer: Callable[..., Trainer], method: str) -> None:
    overrides, k, alpha = METHODS[method]
    running = trainer(*TASK, *overrides)
    for step in (5, 40):
        while running.step < step:
            running.take_step()
        losses = running.task.train_metrics(0)["expected_loss"].numpy()
        moments = theory.noisy_cycle(CURVATURE, 1 / CURVATURE, LR, k, alpha).after(
            step // (k if isinstance(k, int) else 1), np.full(DIM, 2.0), np.full(DIM, 0.25)
        )
        expected = theory.expected_loss(CURVATURE, 1 / CURVATURE, *moments)
        assert abs(losses.mean() - expected) < 4.5 * losses.std(ddof=1) / np.sqrt(len(losses))

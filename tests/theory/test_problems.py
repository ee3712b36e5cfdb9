"""Each toy problem's closed-form operator against autograd of its losses, and its known solution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import yaml
from tiny_runs import everyone

from lookahead_bench import theory
from lookahead_bench.configuration.files import CONF
from lookahead_bench.tasks.closed_form import ClosedForm
from lookahead_bench.trainer import Trainer

NODES = {p.stem: yaml.safe_load(p.read_text()) for p in sorted((CONF / "dataset").glob("*.yaml"))}
CLOSED = [name for name, node in NODES.items() if node["about"]["closed_form"]]
VARIANTS = [(name, []) for name in CLOSED] + [
    ("bilinear", ["dataset.batch_size=7"]),
    ("polar_game", ["dataset.case=hard", "dataset.noise=0.5"]),
    ("saddle", ["dataset.e1=0.0", "dataset.e2=1.0", "dataset.noise=0.1"]),
    ("dirac_gan", ["dataset.loss=saturating"]),
    ("dirac_gan", ["dataset.loss=non_saturating"]),
    ("quadratic", ["dataset.dim=1", "dataset.noise=0.1"]),
]


def closed_form(trainer: Trainer) -> ClosedForm:
    assert isinstance(trainer.task, ClosedForm)
    return trainer.task


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize(("name", "more"), VARIANTS)
def test_operator_is_the_gradient_of_each_players_own_loss(
    trainer: Callable[..., Trainer], name: str, more: list[str], replicas: int
) -> None:
    task = closed_form(trainer(f"dataset={name}", f"replicas={replicas}", *more))
    batch = task.batch(5)
    task.backward(task.losses(batch, everyone(task)))
    closed = [p.grad for (p,) in task.players.values()]
    task.point = task.point.clone().requires_grad_()
    losses = task.losses(batch, everyone(task))
    for i, (loss, gradient) in enumerate(zip(losses.values(), closed, strict=True)):
        (whole,) = torch.autograd.grad(loss.sum(), task.point, retain_graph=True)
        torch.testing.assert_close(gradient, whole[i], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CLOSED)
def test_the_known_solution_is_a_zero_of_the_operator(trainer: Callable[..., Trainer], name: str) -> None:
    task = closed_form(trainer(f"dataset={name}"))
    assert task.solution is not None
    operator, _ = task.formulas(task.solution, None)
    assert float(operator.abs().max()) < 1e-12


def test_minibatch_operators_of_an_epoch_average_to_the_full_one(trainer: Callable[..., Trainer]) -> None:
    task = closed_form(trainer("dataset=bilinear", "dataset.batch_size=20"))
    full, _ = task.formulas(task.point, None)
    draws = torch.stack([task.formulas(task.point, task.batch(n))[0] for n in range(6400)])
    error = draws.std(0) / len(draws) ** 0.5
    assert bool((((draws.mean(0) - full / 5) / error).abs() < 5).all())


def test_a_spread_start_is_projected_into_the_constraint(trainer: Callable[..., Trainer]) -> None:
    task = closed_form(trainer("dataset=global_forsaken", "dataset.spread=2.0", "replicas=50"))
    assert float(task.point.abs().max()) == pytest.approx(4 / 3)


def test_the_distance_of_a_far_point_is_finite(trainer: Callable[..., Trainer]) -> None:
    task = closed_form(trainer("dataset=quadratic_game", "replicas=2"))
    with torch.no_grad():
        task.point[:, 0] = 1e300
    torch.testing.assert_close(task.distance(), torch.tensor([2**0.5 * 1e300, 2**0.5], dtype=torch.float64))


def test_noise_is_a_function_of_seed_and_draw_alone(trainer: Callable[..., Trainer]) -> None:
    together = closed_form(trainer("dataset=noisy_quadratic", "dataset.dim=5", "replicas=4"))
    alone = closed_form(trainer("dataset=noisy_quadratic", "dataset.dim=5", "seed=3"))
    for draw in (0, 70, 3, 64):
        assert torch.equal(together.batch(draw)[:, 2], alone.batch(draw))


def test_rates_of_random_gradients(trainer: Callable[..., Trainer]) -> None:
    """SGD's rate is lr; Adam's after 40 steps varies as a chi^2 of as many degrees of freedom says."""
    plain = trainer("dataset=random_gradients", "optimizer=sgd", "optimizer.lr=0.25", "dataset.dim=7")
    plain.take_step()
    assert float(plain.task.train_metrics(1)["rate_variance"]) == pytest.approx(0, abs=1e-25)
    adam = trainer("dataset=random_gradients", "optimizer=adam", "optimizer.lr=1.0", "optimizer.betas=[0.0,0.999]",
                   "dataset.dim=3000", "replicas=2")  # fmt: skip
    for _ in range(40):
        adam.take_step()
    found = adam.task.train_metrics(40)
    closed = float(theory.adaptive_rate_variance(theory.effective_gradients(np.array(40.0), 0.999)))
    assert found["rate_variance"].shape == (2,)
    assert bool(((found["rate_variance"] - closed).abs() < 4.5 * found["rate_variance_error"]).all())
    assert "rate_variance" not in dict(adam.task.evaluate(40))["test"]

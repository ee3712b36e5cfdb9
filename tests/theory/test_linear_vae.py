"""The linear VAE's ELBO: bounded by pPCA's optimum, reached by it, and the same sampled as analytic on average."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_runs import everyone

from lookahead_bench.tasks.linear_vae import LinearVAE, centred, collapse, collapse_thresholds
from lookahead_bench.trainer import Trainer


def linear_vae(trainer: Trainer) -> LinearVAE:
    assert isinstance(trainer.task, LinearVAE)
    return trainer.task


def put_optimum(task: LinearVAE, s2: float) -> None:
    """pPCA's decoder and the encoder that is best for it, in the basis of the principal components."""
    W, V, log_variance, _ = task.parameters.values()
    q = W.shape[1]
    with torch.no_grad():
        W.zero_()
        top = task.variances[-q:]
        W[-q:] = torch.diag((top - s2).clamp(min=0).sqrt())
        M = W.T @ W + s2 * torch.eye(q, dtype=W.dtype)
        V.copy_(torch.linalg.solve(M, W.T))
        log_variance.copy_((s2 / M.diagonal()).log())


@pytest.mark.parametrize("s2", [0.02, 0.2, 0.5])
def test_the_optimum_of_ppca_is_reached_exactly(trainer: Callable[..., Trainer], s2: float) -> None:
    task = linear_vae(trainer("dataset=linear_vae", "optimizer=adam", f"dataset.noise_variance={s2}"))
    assert float(task.train_metrics(0)["gap"]) > 1
    put_optimum(task, s2)
    assert float(task.train_metrics(0)["gap"]) == pytest.approx(0, abs=1e-9)
    assert int(collapse(task.thresholds(), task.epsilon)["active"]) == task.ppca_active
    task.backward(task.losses(None, everyone(task)))
    assert all(float(p.grad.abs().max()) < 1e-9 for p in task.players["model"] if p.grad is not None)


def test_the_elbo_is_the_one_of_the_pixels(trainer: Callable[..., Trainer]) -> None:
    task = linear_vae(trainer("dataset=linear_vae", "optimizer=adam"))
    images = centred("digits", ".")
    assert np.linalg.norm(images) == pytest.approx(float(task.images.norm()))
    W, V, log_variance, log_noise = (p.detach() for p in task.parameters.values())
    x, s2 = task.images, float(log_noise.exp())
    M = W @ V
    kl = 0.5 * (log_variance.exp().sum() - log_variance.sum() - 10 + (x @ V.T).square().sum(1))
    spread = (W.square() * log_variance.exp()).sum()
    reconstruction = -((x - x @ M.T).square().sum(1) + spread) / (2 * s2) - 32 * np.log(2 * np.pi * s2)
    assert float((reconstruction - kl).mean()) == pytest.approx(float(task.elbo().detach()), rel=1e-10)


def test_the_sampled_elbo_is_the_analytic_one_on_average(trainer: Callable[..., Trainer]) -> None:
    task = linear_vae(trainer("dataset=linear_vae", "dataset.stochastic=true", "optimizer=adam"))
    with torch.no_grad():
        values = torch.stack([-task.losses(task.batch(n), everyone(task, n))["model"] for n in range(300)])
    assert abs(float(values.mean() - task.elbo().detach())) < 4.5 * float(values.std()) / 300**0.5


def test_replicas_start_as_the_runs_alone(trainer: Callable[..., Trainer]) -> None:
    overrides = ["dataset=linear_vae", "optimizer=adam", "dataset.stochastic=true"]
    together, alone = trainer(*overrides, "replicas=3"), trainer(*overrides, "seed=3")
    for one in (together, alone):
        for _ in range(3):
            one.take_step()
    for a, b in zip(together.task.players["model"], alone.task.players["model"], strict=True):
        torch.testing.assert_close(a[2], b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("delta", [0.0, 0.01, 0.1])
def test_thresholds_are_the_definition_of_collapse(delta: float) -> None:
    """A dimension is alive at epsilon while its KL is at least epsilon on more than a fraction delta of the images."""
    kl = torch.from_numpy(np.random.default_rng(0).gamma(0.5, size=(3, 200, 4)))
    thresholds = collapse_thresholds(kl, delta)
    for epsilon in (0.01, 0.5, 2.0, float(thresholds[1, 2])):
        alive = (kl >= epsilon).double().mean(-2) > delta
        assert torch.equal(thresholds >= epsilon, alive)
        assert torch.equal(collapse(thresholds, epsilon)["active"], alive.sum(-1).double())

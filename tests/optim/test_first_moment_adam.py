"""FirstMomentAdam against its equations, its ranges, and Adam itself."""

from __future__ import annotations

import copy

import pytest
import torch

from lookahead_bench.optim import FirstMomentAdam


def test_a_negative_beta1_against_the_equations() -> None:
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = FirstMomentAdam([w], lr=0.1, beta1=-0.6, beta2=0.9)
    x, m, v = w.detach().clone(), torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t in range(1, 8):
        w.grad = w.detach() ** 3
        gradient = x**3
        m, v = -0.6 * m + 1.6 * gradient, 0.9 * v + 0.1 * gradient**2
        x = x - 0.1 * m / (1 - (-0.6) ** t) / (v.sqrt() + 1e-8)
        if t == 4:  # in the middle: what is saved is all there is
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = FirstMomentAdam([w], lr=9.0)
            optimizer.load_state_dict(saved)
        optimizer.step()
        torch.testing.assert_close(w.detach(), x, rtol=1e-12, atol=0)


def test_with_the_second_correction_it_is_adam() -> None:
    first, second = (torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    ours, adam = FirstMomentAdam([first], lr=0.1, beta1=0.5, beta2=0.9), torch.optim.Adam([second], betas=(0.5, 0.9))
    for t in range(1, 5):
        first.grad, second.grad = torch.full_like(first, 0.3 * t), torch.full_like(second, 0.3 * t)
        adam.param_groups[0].update(lr=0.1 / (1 - 0.9**t) ** 0.5, eps=1e-8 / (1 - 0.9**t) ** 0.5)
        ours.step()
        adam.step()
        torch.testing.assert_close(first, second, rtol=1e-12, atol=0)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"beta1": -1.0}, {"beta1": 1.0}, {"beta2": 1.0}, {"eps": 0.0}])
def test_a_number_out_of_its_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must have"):
        FirstMomentAdam([torch.nn.Parameter(torch.ones(1))], **wrong)

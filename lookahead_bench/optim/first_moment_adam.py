"""Adam as the notebooks of two papers on games have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class FirstMomentAdam(Optimizer):
    """Adam whose second moment is not corrected for its start at 0, and whose beta1 may be negative.

        m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2
        w <- w - lr m / (1 - beta1^t) / (sqrt(v) + eps)

    The first steps are longer than Adam's, by up to 1 / sqrt(1 - beta2). Elementwise.

    Args:
        params: as in torch.
        lr: > 0. beta1: > -1 and < 1. beta2: >= 0 and < 1. eps: > 0.

    Raises:
        ValueError: a number outside of its range.

    Source: bilinear_wgan.ipynb of Gidel et al. 2019 (arXiv 1802.10551); LA-MM_stochastic_bilinear.ipynb of
    Chavdarova et al. 2021 (arXiv 2006.14567).
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-2, beta1: float = 0.0, beta2: float = 0.99, eps: float = 1e-8
    ) -> None:
        if not (lr > 0 and -1 < beta1 < 1 and 0 <= beta2 < 1 and eps > 0):
            raise ValueError(
                f"lr={lr}, beta1={beta1}, beta2={beta2}, eps={eps}: must have lr > 0, -1 < beta1 < 1, 0 <= beta2 < 1 "
                "and eps > 0"
            )
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["beta1"], group["beta2"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state |= {"step": torch.zeros(()), "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                state["step"] += 1
                state["m"].lerp_(p.grad, 1 - beta1)
                state["v"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                size = group["lr"] / (1 - beta1 ** int(state["step"]))
                p.addcdiv_(state["m"], state["v"].sqrt().add_(group["eps"]), value=-size)
        return loss

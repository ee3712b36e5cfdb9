"""Games of two numbers, x against y, whose trajectories can be drawn: min over x, max over y unless said otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.tasks.base import Batch
from lookahead_bench.tasks.closed_form import ClosedForm, constraint_of

POLAR_CASES = {"hard": 1.0, "medium": 3 / 4, "easy": 1 / 3}  # the factor a
FORSAKEN = (0.07802666873846001, 0.4119338513658209)


class PlanarGame(ClosedForm):
    """Two players of one number each.

    start: [x, y]; box, ball: the set to stay in, see `constraint_of`; spread, noise, seeds, dtype, device: see
    `ClosedForm`. `settings` are the subclass's own constants.
    """

    solution_at: Sequence[float] = (0.0, 0.0)

    def __init__(
        self, *, players: Sequence[str], start: Sequence[float], spread: float, noise: float, seeds: Sequence[int],
        dtype: torch.dtype, device: torch.device | str, box: Any = None, ball: float | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            players, column(start), column(self.solution_at), spread=spread, noise=noise, seeds=seeds, dtype=dtype,
            device=device,
        )  # fmt: skip
        self.constraint = constraint_of({"box": box, "ball": ball}, len(seeds))
        self.project()


def column(pair: Sequence[float]) -> np.ndarray[Any, np.dtype[Any]]:
    return np.array(pair, dtype=float)[:, None]


class QuadraticGame(PlanarGame):
    """f = a x y + b/2 (x^2 - y^2), a = sqrt(L^2 - L^4 rho^2), b = L^2 rho; F = (b x + a y, b y - a x).

    L > 0, -1/L < rho < 1/L, of each replica. F is linear with eigenvalues b +- i a of modulus L, and
    <F z, z> = rho |F z|^2.
    Source: Pethick, Fercoq, Latafat, Patrinos, Cevher 2023; used by Pethick, Xie, Cevher 2023 (arXiv 2310.13459).
    """

    per_replica = ("L", "rho")

    def __init__(self, *, L: Sequence[float], rho: Sequence[float], **common: Any) -> None:
        super().__init__(**common)
        constants = list(zip(L, rho, strict=True))
        b = [modulus**2 * each for modulus, each in constants]
        a = [float(np.sqrt(modulus**2 - modulus**4 * each**2)) for modulus, each in constants]
        self.along = self.column([b, b])
        self.across = self.column([a, [-one for one in a]])
        self.halves = self.column([0.5, -0.5])

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        operator = z * self.along + z.flip(0) * self.across
        f = (z * operator * self.halves).sum((0, -1))  # f is the signed half of <z, F z>, being quadratic
        return operator, (f, -f)


class ShiftedBilinear(PlanarGame):
    """f = (x - c)(y - c), F = (y - c, c - x); solution (c, c).

    c: any number inside the constraint.
    Source: c = 0.9 in the box |z| <= 1, Pethick et al. 2023 (github:LIONS-EPFL/stochastic-weak-minty-code); c = 0 with
    the second player in [-1, 1], Gidel et al. 2019 (arXiv 1802.10551, bilinear_wgan.ipynb).
    """

    def __init__(self, *, c: float, **common: Any) -> None:
        self.solution_at = (c, c)
        super().__init__(**common)
        self.c = c
        self.sign = self.column([1.0, -1.0])

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        away = z - self.c
        f = away.prod(0).squeeze(-1)
        return away.flip(0) * self.sign, (f, -f)


class PolarGame(PlanarGame):
    """F = (x g - y, y g + x), g = a/16 (r^2 - 1)(16 r^2 - 9), r = |z|: limit cycles at r = 1 and r = 3/4 around 0.

    case: hard (a = 1), medium (3/4), easy (1/3). No f has this F as its gradient field; player x's loss is
    G(r^2)/2 - x y and y's G(r^2)/2 + x y, with G the integral of g.
    Source: Pethick, Latafat, Patrinos, Fercoq, Cevher 2022, Example 3; cases (i) to (iii) of its notebook.
    """

    def __init__(self, *, case: str, **common: Any) -> None:
        super().__init__(**common)
        self.a = POLAR_CASES[case]
        self.sign = self.column([-1.0, 1.0])

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        s = (z * z).sum(0)
        g = (self.a / 16) * (s - 1) * (16 * s - 9)
        integral = (self.a / 32) * s * ((16 / 3 * s - 25 / 2) * s + 9)
        product = z.prod(0)
        return z * g + z.flip(0) * self.sign, ((integral - product).squeeze(-1), (integral + product).squeeze(-1))


class Separable(PlanarGame):
    """f = x (y - s) + phi(x) - phi(y) for an even polynomial phi; F = (y - s + phi'(x), phi'(y) - x).

    A subclass sets s and the coefficients of z^2, z^4, z^6 in phi.
    """

    shift = 0.0
    even: Sequence[float]

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self.sign = self.column([1.0, -1.0])
        self.offset = self.column([-self.shift, 0.0])

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        c2, c4, c6 = self.even
        q = z * z
        slope = z * ((6 * c6 * q + 4 * c4) * q + 2 * c2)
        operator = slope + z.flip(0) * self.sign + self.offset
        phi = q * ((c6 * q + c4) * q + c2)
        f = (phi[0] - phi[1] + z[0] * (z[1] - self.shift)).squeeze(-1)
        return operator, (f, -f)


class Forsaken(Separable):
    """f = x (y - 0.45) + phi(x) - phi(y), phi(z) = z^2/4 - z^4/2 + z^6/6.

    Source: Hsieh, Mertikopoulos, Cevher 2021, Example 5.2.
    """

    solution_at = FORSAKEN
    shift = 0.45
    even = (1 / 4, -1 / 2, 1 / 6)


class GlobalForsaken(Separable):
    """f = x y + phi(x) - phi(y), phi(z) = z^2/3 - z^4/3 + 2 z^6/21, in |z| <= 4/3 (largest norm).

    Source: Pethick, Latafat, Patrinos, Fercoq, Cevher 2022.
    """

    even = (1 / 3, -1 / 3, 2 / 21)


class DiracGAN(PlanarGame):
    """A generator that is one point, theta, and the discriminator D(x) = phi x, on data that are one point, `target`.

    loss wasserstein: f = phi (target - theta), min over theta, max over phi. saturating: f = log s(phi target) +
    log s(-phi theta), s the logistic function. non_saturating: the same for phi; theta minimises -log s(phi theta).
    Solution: (target, 0). The logistic losses are curved in phi there, by target^2 / 2: gradient steps converge too.
    Source: Mescheder, Geiger, Nowozin 2018 with target 0; target -2 in Gidel et al. 2019 (arXiv 1802.10551).
    """

    def __init__(self, *, target: float, loss: str, **common: Any) -> None:
        self.solution_at = (target, 0.0)
        super().__init__(**common)
        self.target, self.loss = target, loss

    def formulas(self, z: Tensor, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        theta, phi = z
        real, fake = phi * self.target, phi * theta
        if self.loss == "wasserstein":
            losses = real - fake, fake - real
            slopes = -phi, theta - self.target
        else:
            f = nn.functional.logsigmoid(real) + nn.functional.logsigmoid(-fake)
            slope = theta * fake.sigmoid() - self.target * (-real).sigmoid()
            if self.loss == "saturating":
                losses, slopes = (f, -f), (-phi * fake.sigmoid(), slope)
            else:
                losses = -nn.functional.logsigmoid(fake), -f
                slopes = -phi * (-fake).sigmoid(), slope
        return torch.stack(slopes), tuple(loss.squeeze(-1) for loss in losses)

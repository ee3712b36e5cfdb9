"""Every wrapper against its NumPy twin, step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optim_twins as twins
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_problems import Game
from torch.optim import SGD, Adam, Optimizer

from lookahead_bench.optim import SAM, Averaged, Lookahead, PastExtragradient, ProximalPoint, evaluation_weights

Groups = list[dict[str, object]]
BASES: dict[str, tuple[Callable[[Groups], Optimizer], Callable[[], twins.Sgd | twins.Adam]]] = {
    "sgd": (lambda g: SGD(g, lr=0.1), lambda: twins.Sgd(0.1)),
    "momentum": (
        lambda g: SGD(g, lr=0.05, momentum=0.8, weight_decay=0.01),
        lambda: twins.Sgd(0.05, momentum=0.8, weight_decay=0.01),
    ),
    "adam": (lambda g: Adam(g, lr=0.02, betas=(0.5, 0.9)), lambda: twins.Adam(0.02, betas=(0.5, 0.9))),
}
METHODS: dict[str, tuple[Callable[[Optimizer], Optimizer], Callable[[twins.Sgd | twins.Adam], twins.Method]]] = {
    "lookahead": (lambda b: Lookahead(b, k=3, alpha=0.3), lambda b: twins.Lookahead(twins.Plain(b), 3, 0.3)),
    "k=1": (lambda b: Lookahead(b, k=1, alpha=0.7), lambda b: twins.Lookahead(twins.Plain(b), 1, 0.7)),
    "alpha=0": (lambda b: Lookahead(b, k=4, alpha=0.0), lambda b: twins.Lookahead(twins.Plain(b), 4, 0.0)),
    "outer momentum": (
        lambda b: Lookahead(b, k=3, alpha=0.7, outer_momentum=0.5),
        lambda b: twins.Lookahead(twins.Plain(b), 3, 0.7, 0.5),
    ),
    "three layers": (
        lambda b: Lookahead(Lookahead(Lookahead(b, k=2, alpha=0.5), k=3, alpha=0.8, outer_momentum=0.3), k=2),
        lambda b: twins.Lookahead(twins.Lookahead(twins.Lookahead(twins.Plain(b), 2, 0.5), 3, 0.8, 0.3), 2, 0.5),
    ),
    "extragradient": (lambda b: ProximalPoint(b), lambda b: twins.ProximalPoint(b, 2, 1.0)),
    "eg+": (lambda b: ProximalPoint(b, relaxation=0.4), lambda b: twins.ProximalPoint(b, 2, 0.4)),
    "rapp": (lambda b: ProximalPoint(b, inner=5, relaxation=0.9), lambda b: twins.ProximalPoint(b, 5, 0.9)),
    "past gradient": (lambda b: PastExtragradient(b), lambda b: twins.PastGradient(b)),
    "past step": (lambda b: PastExtragradient(b, memory="step"), lambda b: twins.PastStep(b)),
    "la-rapp": (
        lambda b: Lookahead(ProximalPoint(b, inner=3, relaxation=0.5), k=2),
        lambda b: twins.Lookahead(twins.ProximalPoint(b, 3, 0.5), 2, 0.5),
    ),
    "sam": (lambda b: SAM(b, rho=0.3), lambda b: twins.Sam(b, 0.3)),
    "la-sam": (lambda b: Lookahead(SAM(b, rho=0.1), k=3), lambda b: twins.Lookahead(twins.Sam(b, 0.1), 3, 0.5)),
    "mean": (lambda b: Averaged(b), lambda b: twins.Averaged(twins.Plain(b), None)),
    "ema of lookahead": (
        lambda b: Averaged(Lookahead(b, k=3), decay=0.9),
        lambda b: twins.Averaged(twins.Lookahead(twins.Plain(b), 3, 0.5), 0.9),
    ),
    "lookahead of a mean of lookahead": (
        lambda b: Lookahead(Averaged(Lookahead(b, k=2)), k=3),
        lambda b: twins.Lookahead(twins.Averaged(twins.Lookahead(twins.Plain(b), 2, 0.5), None), 3, 0.5),
    ),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_step_by_step(method: str, base: str) -> None:
    game = Game()
    (make, make_twin), (make_base, make_base_twin) = METHODS[method], BASES[base]
    optimizer, twin = make(make_base(game.groups())), make_twin(make_base_twin())
    z = game.z0
    for t in range(26):
        optimizer.step(game)
        z = twin.step(game.F, z)
        np.testing.assert_allclose(game.point(), z, rtol=1e-10, atol=1e-12, err_msg=f"step {t}")
        with evaluation_weights(optimizer):
            np.testing.assert_allclose(game.point(), twin.shown(z), rtol=1e-10, atol=1e-12, err_msg=f"shown {t}")


layer = st.tuples(st.integers(1, 4), st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.9]))


@settings(max_examples=25, deadline=None, database=None)
@given(st.lists(layer, min_size=1, max_size=3))
def test_any_layers(layers: list[tuple[int, float, float]]) -> None:
    game = Game()
    optimizer: Optimizer = SGD(game.groups(), lr=0.05)
    twin: twins.Method = twins.Plain(twins.Sgd(0.05))
    for k, alpha, mu in layers:
        optimizer, twin = Lookahead(optimizer, k, alpha, outer_momentum=mu), twins.Lookahead(twin, k, alpha, mu)
    z = game.z0
    for _ in range(20):
        optimizer.step(game)
        z = twin.step(game.F, z)
    np.testing.assert_allclose(game.point(), z, rtol=1e-9, atol=1e-11)

"""R runs as one batched program against the same runs one after another."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count

import torch
from torch import Tensor

from lookahead_bench import configuration
from lookahead_bench.bench.measure import interleaved
from lookahead_bench.build import resolve
from lookahead_bench.report.console import console, table
from lookahead_bench.runs.run import run
from lookahead_bench.runs.session import Session
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.studies import Study

ROUNDS = 3
STEPS = 50  # of the games, a turn
GAME_ROUNDS = 15


def main(values: Mapping[str, str]) -> None:
    """Print the comparisons, each as the median over interleaved rounds of seconds for the same work."""
    rows = [
        noisy_quadratic(),
        game("quadratic_game", lambda x, y: 0.9949874371066199 * x * y - 0.05 * x**2 + 0.05 * y**2),
        game("forsaken", lambda x, y: x * (y - 0.45) + polynomial(x) - polynomial(y)),
        digits(),
        digits_grid(),
        game_grid(),
    ]
    shown = table("replicas: as one program against one after another")
    for column in ("work", "one after another s", "replicas s", "ratio", "target"):
        shown.add_column(column, justify="left" if column == "work" else "right")
    for row in rows:
        shown.add_row(*row)
    out = console()
    out.print(shown)
    out.print(
        "Runs one after another are timed on a sample and scaled up to their number; a run is all that the "
        "command does in a process that stands. Games: training steps without rows; the loop is SGD by hand on one "
        "replica, with torch.autograd.grad, scaled up to 1,000."
    )


def row(work: str, alone: Sequence[float], together: Sequence[float], target: int) -> tuple[str, ...]:
    ratio = statistics.median(a / b for a, b in zip(alone, together, strict=True))
    return (work, *(f"{statistics.median(s):.4g}" for s in (alone, together)), f"{ratio:,.0f}", f">= {target:,}")


def whole_runs(work: str, overrides: Sequence[str], seeds: int, sample: int, target: int) -> tuple[str, ...]:
    """`seeds` runs as replicas against `sample` of them alone, scaled up."""
    with tempfile.TemporaryDirectory() as scratch:
        common = [*overrides, "tracker=none", "gpu=cpu"]
        fresh = count()  # every turn has a directory of its own, so that nothing is skipped

        def alone() -> None:
            directory = f"results_dir={scratch}/{next(fresh)}"
            for seed in range(1, sample + 1):
                run([*common, directory, f"seed={seed}"])

        def together() -> None:
            run([*common, f"results_dir={scratch}/{next(fresh)}", f"replicas={seeds}"])

        seconds = interleaved({"alone": alone, "together": together}, rounds=ROUNDS)
    return row(work, [s * seeds / sample for s in seconds["alone"]], seconds["together"], target)


def noisy_quadratic() -> tuple[str, ...]:
    overrides = ["dataset=noisy_quadratic", "dataset.dim=100", "optimizer=lookahead", "max_steps=200"]
    return whole_runs("1,000 seeds of a 100-dimensional noisy quadratic, 200 steps", overrides, 1000, 5, 50)


def digits() -> tuple[str, ...]:
    overrides = ["dataset=digits", "model=mlp", "optimizer=lookahead", "max_steps=300"]
    return whole_runs("32 seeds of an MLP on digits, 300 steps", overrides, 32, 4, 2)


def sweep(work: str, overrides: Sequence[str], sample: int, target: int) -> tuple[str, ...]:
    """A sweep with hydra/launcher=replicas against `sample` of its jobs, drawn at random, alone, scaled up."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = count()

        def planned(launcher: str) -> Study:
            extra = ["tracker=none", "gpu=cpu", f"hydra/launcher={launcher}", f"results_dir={scratch}/{next(fresh)}"]
            study = Study.of([*overrides, *extra])
            assert study is not None
            return study

        jobs = len(planned("basic").jobs)

        def alone() -> None:
            study = planned("basic")
            chosen = random.Random(0).sample(list(study.jobs.items()), sample)
            replace(study, jobs=dict(chosen)).run(quiet=True)

        seconds = interleaved({"alone": alone, "together": lambda: planned("replicas").run(quiet=True)}, rounds=ROUNDS)
    return row(work, [s * jobs / sample for s in seconds["alone"]], seconds["together"], target)


def digits_grid() -> tuple[str, ...]:
    rates = "optimizer.lr=0.01,0.02,0.03,0.05,0.08,0.1,0.15,0.2,0.3,0.5"
    grid = ["dataset=digits", "model=mlp", "optimizer=lookahead", "max_steps=300", rates, "seed=range(1,33)"]
    return sweep("10 rates x 32 seeds of an MLP on digits, 300 steps", grid, 8, 2)


def game_grid() -> tuple[str, ...]:
    grid = ["dataset=quadratic_game", "optimizer=lookahead", "max_steps=400", "dataset.rho=range(-0.5,0.5,0.05)",
            "optimizer.lr=0.05,0.1,0.15,0.2,0.3,0.4,0.5,0.6,0.8,1.0"]  # fmt: skip
    return sweep("20 rho x 10 rates of a quadratic game, 400 steps", grid, 8, 10)


def polynomial(z: Tensor) -> Tensor:
    return z**2 / 4 - z**4 / 2 + z**6 / 6


def game(dataset: str, f: Callable[[Tensor, Tensor], Tensor]) -> tuple[str, ...]:
    """1,000 replicas of a game of two numbers through the trainer, against a plain autograd loop over one."""
    lr, replicas = 1e-3, 1000
    with tempfile.TemporaryDirectory() as scratch:
        settings = configuration.load(
            [f"dataset={dataset}", "optimizer=sgd", f"optimizer.lr={lr}", f"replicas={replicas}", "tracker=none",
             "gpu=cpu", "max_steps=1000000", f"results_dir={scratch}"]
        )  # fmt: skip
        trainer = Session(resolve(settings), [(RunDirectory(one), None) for one in settings.seeds()]).build()
    x, y = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in settings["dataset"]["start"])

    def together() -> None:
        for _ in range(STEPS):
            trainer.take_step()

    def alone() -> None:
        for _ in range(STEPS):
            value = f(x, y)
            (gx,) = torch.autograd.grad(value, x, retain_graph=True)
            (gy,) = torch.autograd.grad(-value, y)
            with torch.no_grad():
                x.sub_(lr * gx)
                y.sub_(lr * gy)

    seconds = interleaved({"alone": alone, "together": together}, rounds=GAME_ROUNDS)
    work = f"{replicas:,} replicas of {dataset}, {STEPS} steps of SGD"
    return row(work, [s * replicas for s in seconds["alone"]], seconds["together"], 1000)

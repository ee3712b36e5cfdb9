"""The loop: budgets, rows, schedules, stopping, and going on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lookahead_bench.optim import Lookahead, ProximalPoint
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.schedule import Constant, Cosine, Linear, Step
from lookahead_bench.tasks.base import Call, Picture, Scores, Task
from lookahead_bench.tasks.base import Rows as RowsSoFar
from lookahead_bench.trainer import Budget, Cadence, Interrupted, Trainer


class Slope(Task):
    """Least squares on four numbers, one a batch: min (w - b)^2 / 2."""

    batches_per_epoch = 4
    samples_per_batch = 3

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.players = {"model": [self.weight]}
        self.evaluated = 0

    def batch(self, draw: int) -> Tensor:
        return torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)[draw % 4]

    def losses(self, batch: Tensor, call: Call) -> dict[str, Tensor]:
        return {"model": 0.5 * (self.weight - batch).square().sum()}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        self.evaluated += 1
        yield "val", {"loss": (self.weight.detach() - 2.5).abs().sum()}
        yield "test", {"loss": self.weight.detach().sum()}


class Rows:
    """A log in memory."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.pictures: list[tuple[int, str, str, int]] = []
        self.states: list[dict[str, Any]] = []
        self.lost: list[int] = []

    def row(self, position: dict[str, Any], metrics: Scores, replicas: list[int] | None = None) -> None:
        self.written.append(position | {k: v.item() for k, v in metrics.items()})

    def rows(self) -> list[dict[str, Any]]:
        return self.written

    def picture(self, position: dict[str, Any], name: str, picture: Picture) -> None:
        self.pictures.append((position["step"], position["weights"], name, int(picture[0, 0, 0])))

    def checkpoint(self, state: dict[str, Any]) -> None:
        self.states.append(state)

    def diverged(self, replicas: list[int]) -> None:
        self.lost += replicas

    def improved(self) -> list[int]:
        return []

    def best(self, replicas: list[int], weights: dict[str, Any]) -> None:
        raise AssertionError("nothing improved")

    def steps(self, split: str = "train") -> list[int]:
        return [row["step"] for row in self.written if row["split"] == split]


CONSTANT = Constant()
Wrap = Callable[[torch.optim.Optimizer], torch.optim.Optimizer]


def trainer(
    *, epochs: int | None = None, max_steps: int | None = None, calls: float | None = None, wrap: Wrap = lambda o: o,
    lr: float = 0.1, task: Task | None = None, schedule: Callable[[float], float] = CONSTANT, resample: str = "step",
    **options: Any,
) -> tuple[Trainer, Rows]:  # fmt: skip
    task = Slope() if task is None else task
    parameters = [p for params in task.players.values() for p in params]
    optimizer = wrap(torch.optim.SGD(parameters, lr=lr, momentum=0.9))
    oracle = Oracle(task, seed=1, resample=resample, clip_norm=None, autocast=None)
    log = Rows()
    options = {"evaluate_every": Cadence(1, "epochs"), "budget": Budget(epochs, max_steps, calls)} | options
    return Trainer(task, optimizer, oracle, schedule=schedule, log=log, **options), log


def test_rows_come_at_the_first_step_every_twentieth_and_the_last() -> None:
    run, log = trainer(max_steps=47)
    run.train()
    assert log.steps() == [1, 20, 40, 47]


def test_evaluations_come_first_last_and_at_every_epoch() -> None:
    run, log = trainer(epochs=3)
    run.train()
    assert log.steps("val") == [0, 4, 8, 12]
    assert log.steps("test") == [0, 12]
    assert run.step == 12
    assert log.written[-1]["samples"] == 36
    assert log.written[-1]["epoch"] == 3


@pytest.mark.parametrize(
    ("count", "unit", "steps"),
    [
        (2, "epochs", [0, 4, 8, 11]),  # an epoch is four draws, and two steps here
        (3, "steps", [0, 3, 6, 9, 11]),
        (1, "steps", list(range(12))),
        (5, "oracle_calls", [0, 3, 5, 8, 10, 11]),  # two calls a step: 6, 10, 16, 20 are the first to reach a multiple
        (1, "oracle_calls", list(range(12))),
    ],
)
def test_evaluations_come_at_every_multiple_that_a_step_reaches_or_passes(
    count: int, unit: Any, steps: list[int]
) -> None:
    def built(**options: Any) -> tuple[Trainer, Rows]:
        cadence = Cadence(count, unit)
        return trainer(max_steps=11, wrap=ProximalPoint, resample="call", evaluate_every=cadence, **options)

    run, log = built()
    run.train()
    assert log.steps("val") == steps
    asked = iter([False] * 5 + [True])
    first, before = built(stop_requested=lambda: next(asked))
    with pytest.raises(Interrupted):
        first.train()
    second, after = built()
    second.load_state_dict(before.states[-1])
    second.train()
    assert before.steps("val") + after.steps("val") == steps


def test_without_a_cadence_scores_come_first_and_last_only() -> None:
    run, log = trainer(epochs=3, evaluate_every=None)
    run.train()
    assert log.steps("val") == [0, 12]


class Drawing(Slope):
    """Its picture is one pixel, ten times the weight."""

    def pictures(self, position: Mapping[str, Any], final: bool, rows: RowsSoFar) -> Iterator[tuple[str, Picture]]:
        yield f"weight-{position['step']}", np.full((1, 1, 3), round(10 * self.weight.item()), dtype=np.uint8)


def test_pictures_show_each_kind_of_weights_while_it_is_in_place() -> None:
    run, log = trainer(max_steps=5, task=Drawing(), wrap=lambda o: Lookahead(o, k=4, alpha=0.5))
    run.train()
    losses = {(row["step"], row["weights"]): row["loss"] for row in log.written if row["split"] == "test"}
    shown = {(step, weights): tenths for step, weights, _, tenths in log.pictures}
    assert [(step, name) for step, _, name, _ in log.pictures] == [
        (step, f"weight-{step}") for step in (0, 4, 5) for _ in ("fast", "slow")
    ]
    assert losses.keys() == {(step, kind) for step in (0, 5) for kind in ("fast", "slow")}
    for where, loss in losses.items():
        assert shown[where] == round(10 * loss)  # the loss of the test split is the weight
    assert shown[5, "slow"] == shown[4, "fast"] == shown[4, "slow"] != shown[5, "fast"]


def test_the_first_budget_reached_ends_the_run() -> None:
    for budgets, steps in [({"epochs": 2, "max_steps": 5}, 5), ({"epochs": 1, "max_steps": 50}, 4)]:
        run, _ = trainer(**budgets)  # type: ignore[arg-type]
        run.train()
        assert run.step == steps


@pytest.mark.parametrize(("limit", "steps"), [(7, 3), (6, 3), (1, 1)])
def test_oracle_calls_are_not_overspent_but_one_step_is_taken(limit: int, steps: int) -> None:
    run, log = trainer(calls=limit, wrap=ProximalPoint)
    run.train()
    assert run.step == steps
    assert log.steps()[-1] == steps


def test_a_toy_task_has_a_row_a_step_thinned_beyond_a_thousand() -> None:
    task = Slope()
    task.every_step = True
    run, log = trainer(max_steps=2500, task=task)
    run.train()
    assert len(log.steps()) == 1001  # a thousand and the first
    assert max(b - a for a, b in zip(log.steps()[1:], log.steps()[2:], strict=False)) == 3
    assert log.steps()[-1] == 2500


def test_slow_weights_are_scored_beside_the_fast_ones() -> None:
    run, log = trainer(max_steps=3, wrap=lambda o: Lookahead(o, k=2, alpha=0.5))
    run.train()
    last = [row for row in log.written if row["split"] == "test" and row["step"] == 3]
    assert [row["weights"] for row in last] == ["fast", "slow"]
    assert last[0]["loss"] != last[1]["loss"]


def test_the_schedule_sets_the_rate_of_every_step() -> None:
    rates: list[float] = []
    run, _ = trainer(max_steps=4, schedule=Linear(), on_step=lambda t: rates.append(t.optimizer.param_groups[0]["lr"]))
    first = run.optimizer.param_groups[0]["lr"]
    run.train()
    assert [first, *rates] == pytest.approx([0.1, 0.075, 0.05, 0.025, 0.0])


def test_a_request_to_stop_saves_and_raises() -> None:
    asked = iter([False, False, True])
    run, log = trainer(max_steps=10, stop_requested=lambda: next(asked))
    with pytest.raises(Interrupted):
        run.train()
    assert [state["step"] for state in log.states] == [2]


@pytest.mark.parametrize("schedule", [Constant(), Cosine(0.2), Linear(0.3), Step([0.3, 0.6], 0.2)])
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 11])
def test_a_loaded_state_goes_on_bit_for_bit(schedule: Callable[[float], float], cut: int) -> None:
    def wrap(base: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return Lookahead(Lookahead(base, k=2, alpha=0.5), k=2, alpha=0.7)

    whole, log = trainer(max_steps=12, wrap=wrap, schedule=schedule)
    whole.train()
    asked = iter([False] * cut + [True])
    first, before = trainer(max_steps=12, wrap=wrap, schedule=schedule, stop_requested=lambda: next(asked))
    with pytest.raises(Interrupted):
        first.train()
    second, after = trainer(max_steps=12, wrap=wrap, schedule=schedule)
    second.load_state_dict(before.states[-1])
    second.train()

    def without_clock(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]

    assert without_clock(before.written + after.written) == without_clock(log.written)
    assert torch.equal(second.task.players["model"][0], whole.task.players["model"][0])


class Exploding(Slope):
    def losses(self, batch: Tensor, call: Call) -> dict[str, Tensor]:
        value = super().losses(batch, call)["model"]
        return {"model": value * float("inf") if self.weight.item() != 0 else value}


def test_the_last_scores_are_of_the_weights_before_the_step_that_could_not_be_taken() -> None:
    run, log = trainer(max_steps=10, task=Exploding(), wrap=lambda o: Lookahead(o, k=2, alpha=0.5))
    with pytest.raises(Diverged):
        run.train()
    last = {row["weights"]: row["loss"] for row in log.written[-4:] if row["split"] == "test"}
    assert last == {"fast": pytest.approx(0.1), "slow": 0.0}  # one step of 0.1 towards 1, and the start of the cycle


def test_divergence_is_told_before_the_update() -> None:
    run, log = trainer(max_steps=10, task=Exploding())
    with pytest.raises(Diverged):
        run.train()
    assert run.step == 1
    assert log.lost == [0]
    last = [row for row in log.written if row["split"] == "train"][-1]
    assert (last["step"], last["loss"]) == (2, float("inf"))
    assert torch.isfinite(run.task.players["model"][0]).all()

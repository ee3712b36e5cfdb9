"""One evaluation of F: batches, counts, clipping, statistics and the check before the update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookahead_bench.optim import Alternating, Lookahead, PastExtragradient, ProximalPoint
from lookahead_bench.oracle import Diverged, Oracle
from lookahead_bench.schedule import Constant
from lookahead_bench.seeds import derive
from lookahead_bench.tasks.base import Call, Scores, Task
from lookahead_bench.trainer import Budget, Trainer


class Game(Task):
    """min_x max_y b x y, where the batch b is the number of the draw, starting from 1."""

    def __init__(self, replicas: int = 1) -> None:
        shape = (2,) if replicas == 1 else (replicas, 2)
        self.replicas = replicas
        self.x, self.y = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.full(shape, 2.0))
        self.players = {"x": [self.x], "y": [self.y]}

    def batch(self, draw: int) -> Tensor:
        return torch.tensor(float(draw + 1))

    def losses(self, batch: Tensor, call: Call) -> dict[str, Tensor]:
        value = batch * (self.x * self.y).sum(-1)
        return {name: value if name == "x" else -value for name in call.players}

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        yield "test", {"distance": self.x.detach().norm()}


def oracle(task: Task, **changed: Any) -> Oracle:
    settings: dict[str, Any] = {"seed": 1, "resample": "step", "clip_norm": None, "autocast": None}
    return Oracle(task, **settings | changed)


def test_each_player_gets_the_gradient_of_its_own_loss() -> None:
    task = Game()
    value = oracle(task)()
    assert task.x.grad is not None
    assert task.x.grad.tolist() == [2.0, 2.0]  # b y
    assert task.y.grad is not None
    assert task.y.grad.tolist() == [-1.0, -1.0]  # -b x
    assert value.item() == 0.0  # x's loss and y's


def test_only_the_asked_players_gradients_move() -> None:
    task = Game()
    oracle(task)(players=["y"])
    assert task.x.grad is None
    assert task.y.grad is not None


@pytest.mark.parametrize(("resample", "draws"), [("step", 1), ("call", 2)])
def test_a_step_of_extragradient_draws_one_batch_or_two(resample: str, draws: int) -> None:
    task = Game()
    evaluate = oracle(task, resample=resample)
    optimizer = ProximalPoint(torch.optim.SGD([task.x, task.y], lr=0.1))
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert (evaluate.draws, evaluate.calls) == (draws, 2.0)
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert evaluate.draws == 2 * draws


def test_one_gradient_of_two_is_half_a_call() -> None:
    task = Game()
    evaluate = oracle(task)
    groups = [{"params": [task.x], "player": "x"}, {"params": [task.y], "player": "y"}]
    optimizer = Alternating(torch.optim.SGD(groups, lr=0.1), order=[["x"], ["y"], ["y"]])
    evaluate.begin_step()
    optimizer.step(evaluate)
    assert evaluate.calls == 1.5
    assert evaluate.draws == 1


def test_clipping_scales_the_joint_gradient() -> None:
    task = Game()
    oracle(task, clip_norm=1.0)()
    assert task.x.grad is not None
    assert task.y.grad is not None
    norm = (task.x.grad.square().sum() + task.y.grad.square().sum()).sqrt()
    assert norm.item() == pytest.approx(1.0, abs=1e-5)
    assert (task.x.grad[0] / task.y.grad[0]).item() == pytest.approx(-2.0)


def test_each_replica_is_clipped_by_itself() -> None:
    task = Game(replicas=2)
    with torch.no_grad():
        task.x[1], task.y[1] = 0.01, 0.01  # a small gradient, which clipping must leave alone
    oracle(task, clip_norm=1.0)()
    assert task.x.grad is not None
    assert task.y.grad is not None
    norms = torch.cat([task.x.grad, task.y.grad], dim=1).norm(dim=1)
    assert norms.tolist() == pytest.approx([1.0, 0.02], abs=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_never_reaches_the_weights(value: float) -> None:
    task = Game()
    with torch.no_grad():
        task.y[0] = value
    before = task.x.detach().clone()
    optimizer = torch.optim.SGD([task.x], lr=0.1)
    evaluate = oracle(task)
    with pytest.raises(Diverged):
        optimizer.step(evaluate)  # type: ignore[arg-type]
    assert torch.equal(task.x, before)


def test_numbers_whose_sum_overflows_are_finite() -> None:
    task = Game()
    with torch.no_grad():
        task.x[:], task.y[:] = 1e-30, 3e38
    oracle(task)()
    assert task.x.grad is not None
    assert torch.isfinite(task.x.grad).all()


def test_a_diverging_replica_stops_alone() -> None:
    task = Game(replicas=3)
    with torch.no_grad():
        task.y[1] = float("nan")
    evaluate = oracle(task)
    evaluate.begin_step()
    lost: list[int] = []
    evaluate.on_lost = lost.extend
    evaluate()
    assert lost == [1]
    assert evaluate.alive.tolist() == [True, False, True]
    assert task.x.grad is not None
    assert task.x.grad.tolist() == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]
    evaluate.begin_step()
    evaluate()
    assert lost == [1]


class Told(Game):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def losses(self, batch: Tensor, call: Call) -> dict[str, Tensor]:
        assert batch.item() == call.draw + 1
        self.calls.append(call)
        return super().losses(batch, call)


ALL = ("x", "y")


@pytest.mark.parametrize(
    ("resample", "expected"),
    [
        ("step", [(0, True, ALL), (0, False, ()), (0, False, ()), (1, True, ALL), (1, False, ()), (1, False, ())]),
        ("call", [(0, True, ALL), (1, True, ()), (2, True, ()), (3, True, ALL), (4, True, ()), (5, True, ())]),
    ],
)
def test_an_evaluation_is_told_its_draw_and_what_is_first_in_this_step(resample: str, expected: list[Any]) -> None:
    task = Told()
    evaluate = oracle(task, resample=resample)
    optimizer = ProximalPoint(torch.optim.SGD([task.x, task.y], lr=0.1), inner=3)
    for _ in range(2):
        evaluate.begin_step()
        optimizer.step(evaluate)  # type: ignore[arg-type]
    assert [(call.draw, call.fresh, call.first) for call in task.calls] == expected
    assert {call.players for call in task.calls} == {ALL}


def test_each_player_is_first_once_in_a_step() -> None:
    task = Told()
    evaluate = oracle(task)
    groups = [{"params": [task.x], "player": "x"}, {"params": [task.y], "player": "y"}]
    optimizer = Alternating(torch.optim.SGD(groups, lr=0.1), order=[["x"], ["y"], ["y"], ["x", "y"]])
    for _ in range(2):
        evaluate.begin_step()
        optimizer.step(evaluate)  # type: ignore[arg-type]
    assert [(call.players, call.first) for call in task.calls] == 2 * [
        (("x",), ("x",)), (("y",), ("y",)), (("y",), ()), (ALL, ())
    ]  # fmt: skip


def test_the_streams_of_a_call_are_functions_of_seed_purpose_and_draw() -> None:
    call = Call(ALL, 3, fresh=True, first=ALL, seed=5)
    assert call.stream("dropout") == derive(5, "dropout", 3) == call._replace(fresh=False, first=()).stream("dropout")
    assert len({call.stream("latent"), *(call._replace(**{k: 4}).stream("dropout") for k in ("draw", "seed"))}) == 3


class Exploding(Game):
    """The loss of one replica (or of the only run) is not finite from its `last`-th evaluation on."""

    def __init__(self, last: int, replicas: int) -> None:
        super().__init__(replicas)
        self.last, self.evaluations = last, 0

    def losses(self, batch: Tensor, call: Call) -> dict[str, Tensor]:
        self.evaluations += 1
        values = super().losses(batch, call)
        worst = torch.ones(self.replicas)
        worst[-1] = float("inf") if self.evaluations >= self.last else 1.0
        return {name: value * worst.view(value.shape) for name, value in values.items()}


CHAINS: dict[str, Any] = {
    "plain": lambda base: base,
    "extragradient": ProximalPoint,
    "three evaluations, relaxed": lambda base: Lookahead(ProximalPoint(base, inner=3, relaxation=0.5), k=2),
    "alternating": lambda base: Alternating(base, order=[["x"], ["y"], ["x"]]),
    "extragradient over alternating": lambda base: Lookahead(ProximalPoint(Alternating(base)), k=2),
    "past extragradient": PastExtragradient,
    "optimistic": lambda base: PastExtragradient(base, memory="step"),
}


class Memory:
    """A log that keeps the last scores of each kind of weights."""

    def __init__(self) -> None:
        self.scores: dict[str, list[float]] = {}

    def row(self, position: dict[str, Any], metrics: Scores, replicas: list[int] | None = None) -> None:
        if position["split"] == "test" and replicas is not None:
            self.scores[position["weights"]] = metrics["distance"].expand(replicas[-1] + 1)[replicas].tolist()

    def rows(self) -> list[dict[str, Any]]:
        return []

    def improved(self) -> list[int]:
        return []

    def diverged(self, replicas: list[int]) -> None:
        self.lost = replicas


@pytest.mark.parametrize("last", range(1, 16))
@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("chain", CHAINS)
def test_numbers_looked_at_once_a_step_end_at_the_same_weights(chain: str, replicas: int, last: int) -> None:
    """As on a GPU, which would have to be waited for in every evaluation."""

    def ended(waits: bool) -> tuple[list[Tensor], Any]:
        task, log = Exploding(last, replicas), Memory()
        groups = [{"params": [task.x], "player": "x"}, {"params": [task.y], "player": "y"}]
        optimizer = CHAINS[chain](torch.optim.SGD(groups, lr=0.1, momentum=0.5))
        evaluate = oracle(task)
        evaluate.waits = waits
        run = Trainer(task, optimizer, evaluate, schedule=Constant(), budget=Budget(None, 99, None), log=log)  # type: ignore[arg-type]
        before: list[Tensor] = []
        with contextlib.suppress(Diverged):
            while run.step < 16:
                before = [p.detach().clone() for p in run.evaluator.parameters]
                run.take_step()
        if replicas == 1:
            assert same(before, run.evaluator.parameters)  # back where the step began
        slow = [s for w in optimizer.state_dict().get("wrappers", []) for s in w.get("slow") or []]
        assert all(torch.isfinite(t).all() for t in [*run.evaluator.parameters, *slow])
        return [*run.evaluator.parameters, *slow], (run.step, log.scores, log.lost)

    (weights, told), (later, told_later) = ended(waits=True), ended(waits=False)
    assert same(weights, later)
    assert told == told_later


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_what_an_optimizer_evaluates_beyond_its_word_is_looked_at_too() -> None:
    task = Exploding(last=4, replicas=1)
    evaluate = oracle(task)
    evaluate.waits = False
    optimizer = torch.optim.LBFGS([task.x, task.y], lr=0.01, max_iter=20, tolerance_change=0)
    with pytest.raises(Diverged):
        optimizer.step(evaluate)  # type: ignore[arg-type]
    assert task.evaluations == 4


def test_what_was_never_looked_at_is_noticed_after_the_step() -> None:
    task = Exploding(last=1, replicas=1)
    evaluate = oracle(task)
    evaluate.waits, evaluate.calls_a_step = False, 2
    evaluate()
    with pytest.raises(Diverged):
        evaluate.look()

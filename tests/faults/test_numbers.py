"""What is not finite, in every place and at any evaluation: the run ends as diverged, and nothing of it is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DIGITS, final_state, rows, tensors, timeless
from torch import Tensor

from lookahead_bench import configuration, run
from lookahead_bench.configuration.files import options
from lookahead_bench.runs.run import execute
from lookahead_bench.tasks.classification import Classification

pytestmark = pytest.mark.fault("numbers")
VALUES = {"nan": torch.nan, "inf": torch.inf, "-inf": -torch.inf}


def spoil(monkeypatch: pytest.MonkeyPatch, place: str, evaluation: int, value: float) -> None:
    """Put a value into the loss, or into one number of one gradient, of the n-th evaluation."""
    losses, backward, count = Classification.losses, Classification.backward, iter(range(10**6))

    def spoilt_losses(self: Classification, *args: Any) -> dict[str, Tensor]:
        bad = {name: loss + value * (next(count) == evaluation or 0) for name, loss in losses(self, *args).items()}
        return {name: torch.where(loss.isnan(), value, loss) for name, loss in bad.items()}

    def spoilt_backward(self: Classification, found: Mapping[str, Tensor]) -> None:
        backward(self, found)
        if next(count) == evaluation:
            next(iter(self.players.values()))[-1].grad.view(-1)[3] = value  # type: ignore[union-attr]

    if place == "loss":
        monkeypatch.setattr(Classification, "losses", spoilt_losses)
    else:
        monkeypatch.setattr(Classification, "backward", spoilt_backward)


def ends_as_diverged(
    optimizer: str, place: str, evaluation: int, value: float, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configuration.load([f"optimizer={optimizer}", *DIGITS, f"results_dir={path}/whole"])
    whole = run_once(settings)
    cut = configuration.load([f"optimizer={optimizer}", *DIGITS, f"results_dir={path}/cut"])
    with monkeypatch.context() as patched:
        spoil(patched, place, evaluation, value)
        result = run_once(cut)
    assert result.status == "diverged"
    last = result.record["step"]
    assert final_state(result.path)["step"] == last - 1
    for tensor in tensors([final_state(result.path)[part] for part in ("task", "optimizer")]):
        assert bool(torch.isfinite(tensor.float()).all())
    before = [row for row in timeless(rows(whole.path)) if row["step"] < last - 1]
    assert [row for row in timeless(rows(result.path)) if row["step"] < last - 1] == before


def run_once(settings: configuration.Config) -> Any:
    (result,) = execute(settings)
    return result


@pytest.mark.parametrize("place", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", ["lookahead", "extra_adam"])
def test_one_number_of_one_evaluation(
    optimizer: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_as_diverged(optimizer, place, 7, torch.nan, tmp_path, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("place", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer(
    optimizer: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Callable[[int], None]
) -> None:
    for evaluation, value in ((0, torch.nan), (1, torch.inf), (8, -torch.inf), (19, torch.nan)):
        ends_as_diverged(optimizer, place, evaluation, value, tmp_path / str(evaluation), monkeypatch)
    survived(4)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
@pytest.mark.parametrize(("scoring", "status"), [(0, "done"), (2, "done"), (4, "diverged")])
def test_a_score_is_never_best_and_the_last_one_ends_the_run(
    scoring: int, status: str, metric: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of SGD at steps 0, 10, 20 and 30: in the first, a middle and the last one a number is not finite."""
    evaluate, count = Classification.evaluate, iter(range(100))

    def spoilt(self: Classification, draws: int) -> Iterator[tuple[str, Any]]:
        bad = next(count) == min(scoring, 3)
        for split, scores in evaluate(self, draws):
            yield split, scores | ({metric: torch.tensor(VALUES[value])} if bad else {})

    monkeypatch.setattr(Classification, "evaluate", spoilt)
    result = run(["optimizer=sgd", *DIGITS, "evaluate_every=10steps", f"results_dir={tmp_path}"])
    assert result.status == status
    assert result.best is not None
    assert 0 < result.value < 1
    assert (result.final["val"]["fast"][metric] == value) == (status == "diverged")

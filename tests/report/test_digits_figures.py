"""What the figures of small networks draw, given rows as `figures` hands them over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lookahead_bench import configuration
from lookahead_bench.report.digits import grid, inner_loop, momentum, robustness, surface
from lookahead_bench.report.stats import mean
from lookahead_bench.runs.run import execute

STEPS = 20


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def rows(settings: Iterable[Mapping[str, Any]], kinds: tuple[str, ...] = ("fast", "slow")) -> pd.DataFrame:
    """Two seeds of every setting, scored after every step with accuracies that no two of them share."""
    random = np.random.default_rng(0)
    return pd.DataFrame([
        {"status": "done", "optimizer": "lookahead", **setting, "run_id": f"{setting}{seed}", "seed": seed,
         "step": step, "oracle_calls": step, "split": split, "weights": kind, "accuracy": random.uniform(0.8, 1.0)}
        for setting, seed, step, split, kind in product(settings, (1, 2), range(STEPS + 1), ("val", "test"), kinds)
    ])  # fmt: skip


def ends(frame: pd.DataFrame, weights: str = "slow") -> pd.DataFrame:
    return frame[(frame["split"] == "test") & (frame["weights"] == weights) & (frame["step"] == STEPS)]


def test_the_inner_loop_shows_the_last_cycles_of_both_kinds_of_weights() -> None:
    frame = rows([{"optimizer.k": 5, "optimizer.alpha": 0.5}])
    fast, slow = inner_loop.draw(frame).get_axes()[0].get_lines()[:2]
    for line, kind in ((fast, "fast"), (slow, "slow")):
        mine = frame[(frame["split"] == "val") & (frame["weights"] == kind) & (frame["step"] >= 5)]
        assert list(np.asarray(line.get_xdata())) == list(range(5, 21))
        assert list(np.asarray(line.get_ydata())) == pytest.approx(list(mine.groupby("step")["accuracy"].mean()))


def test_the_grid_has_a_cell_a_combination() -> None:
    frame = rows([{"optimizer.k": k, "optimizer.alpha": alpha} for k in (2, 10) for alpha in (1.0, 0.5)])
    texts = [text.get_text().split("\n")[0] for text in grid.draw(frame).get_axes()[0].texts]
    cells = ends(frame).groupby(["optimizer.alpha", "optimizer.k"])["accuracy"].mean()
    assert texts == [f"{100 * value:.1f}" for value in cells]


def test_treatments_of_the_momentum_have_their_test_scores() -> None:
    words = {"none": "kept", "pullback": "pulled back", "reset": "reset"}
    frame = rows([{"optimizer.pullback": name, "optimizer.lr": 0.3} for name in words])
    found = {
        name: mean(list(of["accuracy"])).text("accuracy") for name, of in ends(frame).groupby("optimizer.pullback")
    }
    (text,) = momentum.draw(frame).get_axes()[0].texts
    assert text.get_text().splitlines()[1:] == [f"{words[name]} {found[name]}" for name in words]


def test_robustness_counts_what_diverged() -> None:
    frame = rows([{"optimizer": name, "optimizer.lr": lr, "optimizer.momentum": 0.9, "status": status}
                  for name in ("sgd", "lookahead") for lr, status in ((0.1, "done"), (9.0, "diverged"))])  # fmt: skip
    lines = robustness.draw(frame).get_axes()[0].get_lines()
    assert [list(np.asarray(line.get_xdata())) for line in lines] == [[0.1], [9.0], [0.1], [9.0]]
    sgd = ends(frame)[ends(frame)["optimizer"].eq("sgd") & ends(frame)["status"].eq("done")]
    assert lines[0].get_ydata() == pytest.approx([sgd["accuracy"].mean()])


def test_the_surface_goes_through_the_scores_of_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "POINTS", 2)
    base = ["dataset=digits", "optimizer=lookahead", "optimizer.k=2", "optimizer.alpha=0.3", "optimizer.lr=0.3",
            "epochs=null", "tracker=none", f"results_dir={tmp_path}"]  # fmt: skip
    configs = [configuration.load([*base, f"max_steps={steps}"]) for steps in (20, 21, 22)]
    done = [execute(config)[0] for config in configs]
    frame = pd.DataFrame({"run_id": [one.run_id for one in done], "max_steps": (20, 21, 22), "config": configs,
                          "directory": [str(one.path) for one in done]})  # fmt: skip
    planes: list[surface.Plane] = []
    monkeypatch.setattr(surface, "draw_surface", lambda figure, ax, plane, alpha: planes.append(plane))
    between = surface.draw(frame).get_axes()[1]
    path = planes[0].path
    assert [*path[0], path[2][1]] == pytest.approx([0, 0, 0], abs=1e-6)
    found = [planes[0].accuracy(*point) for point in (path[0], path[1], 0.3 * path[2])]
    assert found == pytest.approx([one.final["val"][kind]["accuracy"] for one, kind in zip(
        done, ("slow", "fast", "slow"), strict=True)], abs=1 / 237)  # fmt: skip
    slow = next(line for line in between.get_lines() if line.get_label() == "slow weights")
    assert float(np.asarray(slow.get_ydata())[0]) == found[2]

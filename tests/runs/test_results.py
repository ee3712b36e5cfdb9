"""load_results gives all of it, in one frame."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import DIGITS, rows

from lookahead_bench import load_results, run

MULTILAYER = ["optimizer=multilayer", "optimizer.k=[2,3]", "optimizer.alpha=[0.5,0.8]", *DIGITS]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    place = f"results_dir={path}"
    run(["optimizer=adam", *DIGITS, place])
    run([*MULTILAYER, "seed=7", place])
    run(["optimizer=sgd", "optimizer.lr=1e30", *DIGITS, place])
    run(["dataset=bilinear", "optimizer=la_eg", "max_steps=5", "tracker=none", place])
    return path


def test_every_row_of_every_run_is_there(results: Path) -> None:
    frame = load_results(results)
    written = {path.name: rows(path) for path in (results / "runs").iterdir()}
    assert frame.groupby("run_id").size().to_dict() == {name: len(lines) for name, lines in written.items()}
    for name, lines in written.items():
        mine = frame[frame["run_id"] == name]
        for line, (_, row) in zip(lines, mine.iterrows(), strict=True):
            for key, value in line.items():
                same = row[key] == value or (value == "nan" and math.isnan(row[key])) or row[key] == float(value)
                assert same, (name, key, value, row[key])


def test_the_configuration_and_the_status_stand_in_columns(results: Path) -> None:
    frame = load_results(results)
    one = frame[frame["optimizer"] == "multilayer"].iloc[0]
    assert (one["dataset"], one["model"], one["schedule"], one["scale"]) == ("digits", "mlp", "constant", "cpu")
    assert (one["seed"], one["status"], one["optimizer.k"]) == (7, "done", (2, 3))
    assert (one["optimizer.alpha"], one["model.hidden"], one["max_steps"]) == ((0.5, 0.8), (8,), 30)
    assert frame.groupby("optimizer")["status"].first()["sgd"] == "diverged"
    assert pd.api.types.is_float_dtype(frame["loss"])


def test_the_columns_of_the_configuration_come_before_those_of_the_rows(results: Path) -> None:
    columns = list(load_results(results).columns)
    assert columns.index("optimizer.k") < columns.index("step") < columns.index("loss")


def test_a_run_without_rows_is_counted(tmp_path: Path) -> None:
    lost = run(["optimizer=adam", *DIGITS, f"results_dir={tmp_path}"])
    (lost.path / "metrics.jsonl").unlink()
    (lost.path / "run.json").write_text(json.dumps(lost.record | {"status": "running"}))  # killed before its first row
    frame = load_results(tmp_path)
    assert len(frame) == 1
    assert frame["status"].tolist() == ["interrupted"]


def test_only_some_runs(results: Path) -> None:
    names = set(load_results(results)["run_id"])
    one = min(names)
    assert set(load_results(results, only={one})["run_id"]) == {one}


def test_an_empty_directory(tmp_path: Path) -> None:
    assert load_results(tmp_path).empty
    assert load_results(tmp_path / "none").empty

"""load_results gives all of it, in one frame."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import DIGITS, rows

from lookahead_bench import load_results, run
from lookahead_bench.bench.report import fill
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.results import flat, flat_config, load_runs, read_metrics
from lookahead_bench.runs.store import stored_config

STORED = sorted((Path(__file__).resolve().parents[2] / "results" / "studies").glob("*/runs/*"))

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


def test_only_rows_of_some_splits(results: Path) -> None:
    every = load_results(results)
    some = load_results(results, splits=("val", "test"))
    expected = every[every["split"].isin(("val", "test"))].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected[list(some)], check_dtype=False)


def test_however_many_rows_become_a_frame_at_once(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = load_results(results)
    monkeypatch.setattr("lookahead_bench.runs.results.BATCH", 1)
    pd.testing.assert_frame_equal(load_results(results), at_once, check_dtype=False)


def test_a_row_with_the_mark_of_its_split_twice_is_one(tmp_path: Path) -> None:
    lines = ['{"split": "val", "told": {"split": "val"}}', '{"split": "train"}', '{"split": "test"}']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    found = read_metrics(tmp_path / "metrics.jsonl", ("val", "test"))
    assert found == [json.loads(lines[0]), json.loads(lines[2])]


def test_an_empty_directory(tmp_path: Path) -> None:
    assert load_results(tmp_path).empty
    assert load_results(tmp_path / "none").empty


def test_a_line_a_run_says_what_the_rows_say(results: Path) -> None:
    runs, every = load_runs(results), load_results(results)
    assert sorted(runs["run_id"]) == sorted(every["run_id"].unique())
    assert {"seed", "optimizer.lr", "optimizer.k", "command_line", "seconds.train"} <= set(runs)
    for _, one in runs.iterrows():
        mine = every[every["run_id"] == one["run_id"]]
        shared = [key for key in every.columns[: every.columns.get_loc("step")] if key in runs]
        pd.testing.assert_series_equal(one[shared], mine.iloc[0][shared], check_names=False)
        last = mine[mine["split"] == "test"].iloc[-1]
        assert one["weights"] == last["weights"]
        for metric in ("loss", "accuracy", "distance"):
            score = one.get(f"final.test.{one['weights']}.{metric}", math.nan)
            assert score == last.get(metric) or math.isnan(score)
        assert math.isfinite(one["best.value"]) or one["status"] == "diverged"
        assert (one["oracle_calls"], one["samples"]) == tuple(mine[["oracle_calls", "samples"]].max())


def test_lines_of_a_study(tmp_path: Path) -> None:
    for seed in (1, 2):
        run(["optimizer=adam", *DIGITS, f"seed={seed}", f"study=a/{seed}", f"results_dir={tmp_path}"])
    assert load_runs(tmp_path, study="a")["seed"].tolist() == [1, 2]
    assert load_runs(tmp_path, study="a/2")["seed"].tolist() == [2]
    assert load_runs(tmp_path, study="b").empty


def test_a_setting_of_one_run_is_a_score_of_another(tmp_path: Path) -> None:
    for name in ("one", "other"):
        found = run(["optimizer=adam", *DIGITS, f"results_dir={tmp_path / name}"])
        (tmp_path / "runs").mkdir(exist_ok=True)
        found.path.rename(tmp_path / "runs" / name)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    (tmp_path / "runs" / "other" / "metrics.jsonl").write_text('{"step": 0, "precision": 0.5}\n{"step": 1}\n')
    frame = load_results(tmp_path).set_index("run_id")["precision"]
    assert set(frame["one"]) == {"float32"}
    assert frame["other"].iloc[0] == 0.5
    assert math.isnan(frame["other"].iloc[1])


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text.replace("  seed", "  # a remark\n  seed")])
def test_keys_parsed_apart_are_the_file_parsed_whole(change: Callable[[str], str], tmp_path: Path) -> None:
    assert len(STORED) > 300
    for directory in STORED[::16]:
        text = change((directory / "config.yaml").read_text())
        (tmp_path / "config.yaml").write_text(text)
        whole = stored_config(tmp_path)
        assert whole is not None
        assert flat_config(tmp_path) == flat(whole)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "its config.yaml is missing or damaged": lambda path: (path / "config.yaml").write_text(
        "#\nscientific:\n  seed: ["
    ),
    "its metrics.jsonl is not the one": lambda path: (path / "metrics.jsonl").write_text("{}\n"),
    "its run.json does not tell its": lambda path: (path / "run.json").write_text('{"status": "done"}'),
    "it is a copy of": lambda path: path.rename(path.with_name("digits-sgd-s2-0123456789abcdef")),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_run_costs_itself_and_a_line(reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(str(tmp_path), ("sgd",), rates=1, seeds=3)
    DAMAGES[reason](next((tmp_path / "runs").iterdir()))
    assert len(load_runs(tmp_path)) == load_results(tmp_path)["run_id"].nunique() == 2
    assert [reason in record.message for record in caplog.records] == [True, True]


def test_an_older_and_a_half_written_run_are_lines_too(tmp_path: Path) -> None:
    fill(str(tmp_path), ("lookahead",), rates=1, seeds=3)
    old, half, _ = sorted((tmp_path / "runs").iterdir())
    record = {
        k: v for k, v in read_json(old / "run.json").items() if "metrics" not in k and k not in ("also", "studies")
    }  # type: ignore[union-attr]
    (old / "run.json").write_text(json.dumps(record))
    (half / "run.json").write_text('{"status": "runn')
    runs = load_runs(tmp_path).set_index("run_id")
    assert runs["status"].tolist() == ["done", "interrupted", "done"]
    assert runs["final.test.slow.accuracy"].notna().tolist() == [True, False, True]
    assert runs["weights"].tolist()[::2] == ["slow", "slow"]
    assert load_results(tmp_path).groupby("run_id").size().tolist() == [370, 370, 370]

"""A search is fair, resumable and extendable, and its report follows from the runs alone."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import DIGITS

from lookahead_bench import configuration, load_results
from lookahead_bench.build import calls_a_step
from lookahead_bench.cli import command
from lookahead_bench.report import search as report
from lookahead_bench.runs.files import read_json
from lookahead_bench.search.search import Search
from lookahead_bench.studies import Study

SEARCH = ["search=halton", "search.trials=3", "search.finals=2", "optimizer=sgd,lookahead", *DIGITS]
METHODS = ("lookahead", "sgd")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("search")
    assert command(["-m", *SEARCH, f"results_dir={place}"]) == 0
    return place


def planned(*overrides: str) -> Search:
    study = Study.of(overrides)
    assert isinstance(study, Search)
    return study


def runs(place: Path) -> pd.DataFrame:
    return load_results(place).drop_duplicates("run_id", keep="last").set_index("run_id")


def test_every_method_has_as_many_trials_of_the_same_budget_and_then_fresh_seeds(store: Path) -> None:
    every = runs(store)
    assert len(every) == 2 * 3 + 2 * 2
    of = every["studies"].map(lambda studies: studies[0].split("/"))
    kind, method = of.map(lambda parts: parts[2]), of.map(lambda parts: parts[3])
    trials, finals = every[kind == "trials"], every[kind == "finals"]
    assert sorted(of[kind == "trials"].map("/".join)) == [
        f"halton/digits/trials/{name}/{number:03d}" for name in METHODS for number in range(3)
    ]
    assert set(trials["oracle_calls"]) == {30}
    assert set(trials["seed"]) == {1}
    assert finals.groupby(method)["seed"].agg(set).to_dict() == {name: {2, 3} for name in METHODS}
    # The methods share the points of the keys that they share.
    rates = trials.groupby("optimizer")["optimizer.lr"].agg(sorted)
    assert rates["sgd"] == rates["lookahead"]
    for name in METHODS:  # what validation chose, at the end of training
        ends = {r: read_json(store / "runs" / r / "run.json") for r in trials.index[trials["optimizer"] == name]}
        weights = "slow" if name == "lookahead" else "fast"
        best = max(ends, key=lambda r: ends[r]["final"]["val"][weights]["accuracy"])  # type: ignore[index]
        chosen = finals[finals["optimizer"] == name]
        for key in ("optimizer.lr", "optimizer.momentum", "optimizer.k", "optimizer.alpha"):
            assert set(map(str, chosen[key])) == {str(trials.loc[best, key])}


def test_the_same_command_does_nothing_more_trials_only_the_missing(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/metrics.jsonl")}
    place = f"results_dir={store}"
    assert planned(*SEARCH, place).missing() == []
    assert planned(*SEARCH, place).later == 2 * 2  # the fresh seeds
    assert len(planned(*SEARCH, "search.trials=5", place).missing()) == 4
    assert command(["--dry-run", "-m", *SEARCH, "search.trials=5", place]) == 0
    assert re.search(r"\n4 runs more follow from what these will say, [\d.]+ \w+ at most if", capsys.readouterr().out)
    assert command(["-m", *SEARCH, "search.trials=4", "search.finals=3", place]) == 0
    out = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("(skipped)") for line in out[:8]) == 6
    assert [line.partition(": chose trial ")[0] for line in out if ": chose trial " in line] == ["sgd", "lookahead"]
    assert out[-1] == "14 runs: 14 done"
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert command(["status", "halton/digits/trials", place]) == 0
    assert capsys.readouterr().out.split()[-2:] == ["8", "done"]


def test_the_report_tells_what_was_chosen_and_shows_no_trial_as_a_method(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["report", "halton/digits", f"results_dir={store}"]) == 0
    out = capsys.readouterr().out
    assert "halton-digits.png .pdf" in out
    with (store / "report" / "halton-digits.csv").open() as file:
        lines = {line["method"]: line for line in csv.DictReader(file)}
    (found,) = report.searches(load_results(store))
    search = planned(*SEARCH, f"search.trials={len(found.methods[0].trials)}", f"results_dir={store}")
    for one in found.methods:
        told = search.history[one.name]
        assert one.scores == [trial.score for trial in told]  # the report and the search see the same
        assert lines[one.name]["chosen"].startswith(f"{one.chosen}: lr={told[one.chosen].values['optimizer.lr']:g} ")
        assert lines[one.name]["diverged"] == "0"
    with (store / "report" / "halton-digits-trials.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == len(found.methods[0].trials) * 2
    with (store / "report" / "halton-digits-digits-cpu-mlp.csv").open() as file:
        assert sorted(line["optimizer"] for line in csv.DictReader(file)) == ["lookahead", "sgd"]
    twice = load_results(store)
    twice["studies"] = twice["studies"].map(lambda studies: tuple(s.replace("/001", "/000") for s in studies))
    with pytest.raises(Exception, match="trial 0 of lookahead is of two configurations"):
        list(report.searches(twice))


def test_what_the_command_line_sets_is_not_searched_and_intervals_are() -> None:
    fixed = planned(*SEARCH, "optimizer.lr=0.05", "optimizer.momentum=interval(0.1,0.2)")
    sgd, lookahead = fixed.methods
    assert list(sgd.space) == ["optimizer.momentum"]
    assert list(lookahead.space) == ["optimizer.momentum", "optimizer.k", "optimizer.alpha"]
    assert all(config["optimizer"]["lr"] == 0.05 for config in fixed.jobs.values())
    assert all(0.1 <= config["optimizer"]["momentum"] <= 0.2 for config in fixed.jobs.values())
    names = {one.name for one in planned(*SEARCH, "dataset.batch_size=32,64").methods}
    assert names == {"sgd-batch_size_32", "sgd-batch_size_64", "lookahead-batch_size_32", "lookahead-batch_size_64"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["-m", *SEARCH, "seed=1,2"], "seed=2: a search gives every trial the same seed"),
        (["-m", *SEARCH, "max_steps=30,40"], "max_steps=40: of optimizer=sgd is another budget than 30"),
        (["-m", *SEARCH, "optimizer=sgd,extragradient"], "oracle calls a step differ (optimizer=sgd 1, optimizer="),
        (["-m", *SEARCH, "dataset.val_size=0"], "dataset.val_size=0: a search chooses on validation data"),
        (["-m", *SEARCH, "search.trials=0"], "search.trials=0: must be an integer >= 1"),
        (["-m", *SEARCH, "search.trials=9999"], "search.trials=9999: of 2 methods are more than 10,000 runs"),
        (["-m", *SEARCH, "++search.trails=5"], "search.trails=5: no such key (it has trials, finals, seed)"),
        (["-m", *SEARCH, "optimizer.lr=tag(lgo,interval(1,2))"], "has no tag 'lgo'"),
        (["-m", *SEARCH, "optimizer=adam", "optimizer.lr=1", "optimizer.betas=[0,0.9]"], "has nothing to search"),
        (["-m", *SEARCH, "search=haltom"], "search=haltom: no such search; did you mean 'halton'"),
        (["-m", *DIGITS, "optimizer.lr=interval(1,2)"], "add search=halton"),
        ([*DIGITS, "search=halton"], "search=halton: is a sweep; add -m"),
    ],
    ids=lambda case: case[-1] if isinstance(case, list) else "",
)  # fmt: skip
def test_what_is_not_fair_or_no_search_is_refused_in_a_line(
    wrong: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*wrong, f"results_dir={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_calls_of_a_step() -> None:
    expected = {"sgd": 1, "extragradient": 2, "rapp": 3, "la_sam": 2, "alt_gda": 1, "past_extragradient": 1}
    for name, calls in expected.items():
        assert calls_a_step(configuration.load(["dataset=bilinear", f"optimizer={name}"])) == calls


def test_diverged_trials_count_as_the_worst(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lr = "optimizer.lr=tag(log,interval(1e-3,1e30))"
    tiny = ["-m", "search=random", "search.trials=3", "search.finals=1", "optimizer=sgd", "optimizer.momentum=0", lr]
    assert command([*tiny, *DIGITS, "study=wide", f"results_dir={tmp_path}"]) == 0
    (found,) = report.searches(load_results(tmp_path))
    assert found.name == "wide"
    (sgd,) = found.methods
    lost = sgd.trials["status"] == "diverged"
    assert 0 < lost.sum() < 3
    assert sgd.trials.loc[sgd.chosen, "status"] == "done"
    assert sgd.trials.loc[lost, "score"].max() <= sgd.trials.loc[~lost, "score"].min()
    assert len(sgd.finals) == 1
    above = lr.replace("1e-3", "1e29")
    assert command([*tiny, above, *DIGITS, "study=above", f"results_dir={tmp_path}"]) == 0
    assert "sgd: every trial has diverged" in capsys.readouterr().out
    assert command(["report", "above", f"results_dir={tmp_path}"]) == 0


def test_a_failed_trial_stops_the_search_before_anything_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "faults")
    fails = ["optimizer=sgd", "optimizer.base._target_=fault_optimizers.Raises"]
    assert command(["-m", *SEARCH, *fails, f"results_dir={tmp_path}"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "3 runs: 3 failed"
    assert len(err.splitlines()) == 3


def test_tpe_is_a_search_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One trial follows from those before; stopped in the middle, it goes on where it was."""
    pytest.importorskip("optuna", reason="needs optuna")
    tpe = ["-m", "search=tpe", "search.finals=1", "optimizer=sgd", *DIGITS, f"search.storage=sqlite:///{tmp_path}/t.db"]
    whole, parts = f"results_dir={tmp_path}/whole", f"results_dir={tmp_path}/parts"
    assert command([*tpe, "search.trials=4", whole]) == 0
    assert command([*tpe, "search.trials=2", "search.finals=0", parts]) == 0
    assert len(planned(*tpe[1:], "search.trials=4", parts).jobs) == 3  # two, and the one that they lead to
    capsys.readouterr()
    assert command([*tpe, "search.trials=4", parts]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "5 runs: 5 done"
    stored: list[Any] = [set(runs(tmp_path / name).index) for name in ("whole", "parts")]
    assert stored[0] == stored[1]

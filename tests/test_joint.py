"""hydra/launcher=replicas: jobs that one program can compute are one, and each is the run that it would be alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import DIGITS, assert_same_run, at, final_state, kill, start, steps_saved, tensors, wait_for

from lookahead_bench import configuration
from lookahead_bench.cli import command
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.compose import loader
from lookahead_bench.configuration.joint import batches
from lookahead_bench.doing import Doer
from lookahead_bench.runs.results import read_metrics
from lookahead_bench.runs.run import RunResult, execute, execute_jointly, result
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.studies import Study
from lookahead_bench.tasks.games import QuadraticGame

LOADER = loader()
GAME = ["dataset=quadratic_game", "dataset.spread=0.1", "max_steps=20", "tracker=none"]


def study(*overrides: str) -> Study:
    found = Study.of([*overrides, "hydra/launcher=replicas"], LOADER)
    assert found is not None
    return found


def results(done: Study) -> list[RunResult]:
    return [result(RunDirectory(one)) for one in done.runs()]


def assert_close(one: RunResult, other: RunResult, tolerance: float) -> None:
    """The same run: status, counts, rows within rounding; weights and states, where it was done, to the tolerance."""
    assert (one.run_id, one.status, one.record["step"]) == (other.run_id, other.status, other.record["step"])
    mine, theirs = (pd.DataFrame(read_metrics(r.path / "metrics.jsonl")).drop(columns="seconds") for r in (one, other))
    assert list(mine.columns) == list(theirs.columns)
    numeric = mine.select_dtypes("number").columns
    np.testing.assert_allclose(mine[numeric], theirs[numeric], rtol=max(tolerance, 1e-6), atol=max(tolerance, 1e-12))
    if one.status == "done":
        first, second = (final_state(r.path) for r in (one, other))
        assert first["optimizer"]["param_groups"] == second["optimizer"]["param_groups"]
        assert first["scheduler"] == second["scheduler"]
        for part in ("task", "optimizer"):
            for a, b in zip(tensors(first[part]), tensors(second[part]), strict=True):
                torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def as_alone(path: Path, *overrides: str, tolerance: float = 0.0) -> list[RunResult]:
    """Do a sweep as programs and one run after another; gives the former."""
    together = study(*overrides, f"results_dir={path}/together")
    counts = together.run(quiet=True)
    alone = [execute(at(config, path / "alone"))[0] for config in together.runs()]
    assert counts == Counter(one.status for one in alone)
    for one, other in zip(results(together), alone, strict=True):
        assert_close(one, other, tolerance)
    return results(together)


def test_jobs_that_differ_in_seed_and_numbers_are_one_program() -> None:
    def sizes(*overrides: str, most: int = 256) -> list[int]:
        return [len(batch) for batch in batches(list(study(*overrides).jobs.values()), most)]

    assert sizes("optimizer=lookahead", "seed=1,7", "optimizer.lr=0.1,0.2", "optimizer.alpha=0.5,0.8") == [8]
    assert sizes("optimizer=multilayer", "optimizer.alpha=[0.5,0.8],0.5", "optimizer.k=[5,5],[5,6]") == [2, 2]
    assert sizes("optimizer=sgd,sam", "seed=1,2") == [2, 1, 1]
    assert sizes("optimizer=sgd", "seed=1,11,21", "replicas=3", most=6) == [2, 1]
    assert sizes("optimizer=sgd", "seed=1,11", "replicas=3", most=2) == [1, 1]
    assert sizes(*GAME, "optimizer=sgd", "dataset.rho=0,0.1", "dataset.noise=0,0.1") == [2, 2]


def test_seeds_have_the_ids_rows_and_bits_of_the_runs_done_alone(tmp_path: Path) -> None:
    done = as_alone(tmp_path, *GAME, "optimizer=la_eg,nt_asgd", "seed=9,2", "evaluate_every=5steps")
    assert [one.record.get("replicas") for one in done] == [2, 2, None, None]


@pytest.mark.parametrize(
    ("overrides", "tolerance"),
    [
        ([*GAME, "optimizer=eg_plus", "optimizer.lr=0.1,1e30", "dataset.rho=-0.3,0.2", "seed=1,2"], 0),
        (["dataset=noisy_quadratic", "dataset.dim=7", "max_steps=30", "tracker=none", "optimizer=multilayer",
          "optimizer.pullback=pullback", "optimizer.momentum=0,0.5", "optimizer.alpha=[0.5,0.8],[0.7,1]"], 0),
        (["dataset=bilinear", "dataset.dim=9", "dataset.batch_size=4", "max_steps=20", "tracker=none", "ema=0.9",
          "optimizer=la_extra_adam", "optimizer.lr=0.01,0.02", "optimizer.betas=[0,0.9],[0.5,0.99]", "seed=1"], 0),
        (["dataset=global_forsaken", "dataset.spread=0.5", "max_steps=20", "tracker=none", "optimizer=lookahead_minmax",
          "optimizer.lr=0.1,{x:0.1,y:0.2}", "seed=4,2", "schedule=linear"], 0),
        ([*DIGITS, "optimizer=snoo", "optimizer.lr=1e-3,2e-3", "optimizer.alpha=0.5,0.7", "seed=1,7"], 1e-5),
    ],
    ids=["diverging", "layers", "adam", "players", "network"],
)  # fmt: skip
def test_numbers_of_their_own_are_those_of_the_runs_done_alone(
    overrides: list[str], tolerance: float, tmp_path: Path
) -> None:
    done = as_alone(tmp_path, *overrides, tolerance=tolerance)
    assert {one.record["replicas"] for one in done} == {len(done)}


@pytest.fixture(scope="module")
def quadratic() -> Config:
    overrides = ["dataset=noisy_quadratic", "dataset.dim=3", "optimizer=lookahead", "optimizer.k=2", "max_steps=5"]
    return configuration.load([*overrides, "tracker=none", "evaluate_every=null"])


numbers = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.01, 0.1, 0.3]),
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "weight_decay": st.sampled_from([0.0, 0.01]),
        "alpha": st.sampled_from([0.0, 0.5, 1.0]),
    }
)


@given(chosen=st.lists(st.tuples(numbers, st.integers(0, 99)), min_size=2, max_size=5))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_any_settings_go_together(
    chosen: list[tuple[dict[str, float], int]], quadratic: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any")

    def configs(place: str) -> list[Config]:
        common = {**quadratic.nodes, "results_dir": f"{path}/{place}"}
        optimizer = common["optimizer"]
        found = [replace(quadratic, nodes={**common, "seed": s, "optimizer": optimizer | own}) for own, s in chosen]
        return list({one.run_id: one for one in found}.values())

    assert len(batches(configs("together"), 256)) == 1
    together = execute_jointly(configs("together"))
    for ours, one in zip(together, configs("alone"), strict=True):
        assert isinstance(ours, list)
        assert_close(ours[0], execute(one)[0], 0.0)


def test_a_killed_program_goes_on_together(tmp_path: Path) -> None:
    sweep = [*DIGITS, "optimizer=lookahead", "optimizer.lr=0.05,0.1", "optimizer.momentum=0,0.9", "seed=1,4"]
    whole, cut = (study(*sweep, f"results_dir={tmp_path}/{name}") for name in ("whole", "cut"))
    assert whole.run(quiet=True) == {"done": 8}
    process = start(["-m", "hydra/launcher=replicas", *sweep, f"results_dir={tmp_path}/cut"], tmp_path / "output")
    wait_for(lambda: steps_saved(tmp_path / "cut") > 7)
    kill(process, tmp_path / "cut")
    assert process.exitcode == -9, (tmp_path / "output").read_text()
    assert cut.run(quiet=True) == {"done": 8}
    for one, other in zip(results(whole), results(cut), strict=True):
        assert other.record["replicas"] == 8
        assert_same_run(one, other)


def test_one_that_is_held_is_waited_for_when_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*GAME, "optimizer=sgd", f"results_dir={tmp_path}"]
    held, other = (RunDirectory(configuration.load([*overrides, f"seed={seed}"])) for seed in (2, 3))
    held.acquire()

    def let_go() -> None:
        wait_for(other.finished)
        time.sleep(1.0)  # the sweep is at the held one now
        held.lock.release()

    holder = threading.Thread(target=let_go)
    holder.start()
    assert command(["-m", "hydra/launcher=replicas", "seed=1,2,3", *overrides]) == 0
    holder.join()
    told = [line.split(":")[0].split("-")[2] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert told == ["s1", "s3", "s2"]


def test_a_program_that_fails_is_told_once_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: QuadraticGame, *args: object) -> None:
        raise RuntimeError("no operator today")

    place = ["optimizer=sgd", "max_steps=5", "tracker=none", f"results_dir={tmp_path}"]
    with monkeypatch.context() as patched:
        patched.setattr(QuadraticGame, "formulas", broken)
        sweep = ["-m", "hydra/launcher=replicas", "dataset=quadratic_game,polar_game", "seed=1,2", *place]
        assert command(sweep) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "4 runs: 2 done, 2 failed"
    (line,) = err.splitlines()
    assert "quadratic_game-sgd-s1" in line
    assert "computed with it failed: RuntimeError: no operator today" in line
    configs = list(study("dataset=quadratic_game", "seed=3,1,4", *place).jobs.values())
    first, failed, last = Doer({}, since=0).jointly(configs, optimises=False)  # what another sweep saw fail is left
    assert first == last == execute(configs[0])[0].value
    assert np.isnan(failed)


def test_a_wrong_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", "hydra/launcher=replicas", "hydra.launcher.most=0", "seed=1,2", *GAME, f"results_dir={tmp_path}"]
    assert command(sweep) == 2
    assert "hydra.launcher.most=0: must be an integer >= 1" in capsys.readouterr().err
    assert command(["--cfg", "hydra", "hydra/launcher=replicas"]) == 0
    assert "most: 256" in capsys.readouterr().out

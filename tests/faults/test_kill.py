"""kill -9 at any moment, and the same command again, equals no interruption: rows, scores, weights, states."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tiny_runs import (
    DIGITS,
    OFFLINE,
    assert_same_run,
    at,
    die_before,
    embedded,
    kill,
    rows,
    start,
    steps_in,
    steps_saved,
    wait_for,
)

from lookahead_bench import configuration, run
from lookahead_bench.configuration.files import options
from lookahead_bench.runs.checkpoint import generations
from lookahead_bench.runs.results import status_of
from lookahead_bench.runs.resume import by_checkpoint
from lookahead_bench.runs.run import RunResult, execute
from lookahead_bench.runs.store import RunDirectory

pytestmark = pytest.mark.fault("kills")


def killed_and_resumed(overrides: list[str], path: Path, kills: int = 2) -> None:
    """Compare a run that is killed `kills` times with one that is not."""
    chance = random.Random(" ".join(overrides))
    settings = configuration.load(overrides)
    (whole,) = execute(at(settings, path / "whole"))
    last = int(whole.record["step"])
    killed = at(settings, path / "killed")
    for moment in sorted(chance.randrange(last) for _ in range(kills)):
        process = start(killed, path / "output")
        wait_for(lambda m=moment, p=process: steps_saved(path / "killed") > m or p.exitcode is not None)
        time.sleep(chance.uniform(0.0, 0.02))  # into the next step, or into the writing of a checkpoint
        kill(process, path / "killed")
        assert process.exitcode in (-9, 0), (path / "output").read_text()
    assert status_of(path / "killed" / "runs" / whole.run_id) in ("interrupted", "done")
    (resumed,) = execute(killed)
    assert_same_run(whole, resumed)
    assert not list(resumed.path.rglob(".*.part"))


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer_on_digits(optimizer: str, tmp_path: Path) -> None:
    killed_and_resumed([f"optimizer={optimizer}", *DIGITS], tmp_path)


@pytest.mark.parametrize("dataset", OFFLINE)
def test_every_task_that_needs_no_download(dataset: str, tmp_path: Path) -> None:
    short = [*embedded(dataset), "scale=smoke", f"max_steps={steps_in(dataset, 1.0, most=30)}", "tracker=none"]
    killed_and_resumed([*short, "optimizer=la_eg"], tmp_path, kills=1)


@pytest.mark.parametrize(
    "extra",
    [
        ["optimizer=la_eg", "resample=call", "schedule=cosine", "schedule.warmup=0.2"],
        ["optimizer=multilayer", "optimizer.k=[2,3]", "clip_norm=0.5", "schedule=step"],
        ["optimizer=rapp", "max_steps=null", "max_oracle_calls=80", "schedule=linear"],
        ["optimizer=ema", "max_steps=null", "epochs=2", "precision=bfloat16"],
    ],
    ids=lambda extra: extra[0],
)
def test_schedules_budgets_and_resampling(extra: list[str], tmp_path: Path) -> None:
    killed_and_resumed([*DIGITS, *extra], tmp_path, kills=1)


def test_killed_before_the_first_checkpoint(tmp_path: Path) -> None:
    killed = ["optimizer=lookahead", *DIGITS, f"results_dir={tmp_path}/killed"]
    process = start(killed, tmp_path / "output", LOOKAHEAD_BENCH_CHECKPOINT_SECONDS="1000")
    wait_for(lambda: list((tmp_path / "killed").glob("runs/*/run.json")))
    kill(process, tmp_path / "killed")
    assert_same_run(run(["optimizer=lookahead", *DIGITS, f"results_dir={tmp_path}/whole"]), run(killed))


def test_killed_between_the_last_step_and_the_end(tmp_path: Path) -> None:
    """run.json is lost: the last scores are computed anew, and stand in the file once."""
    overrides = ["optimizer=lookahead", *DIGITS, f"results_dir={tmp_path}"]
    first = run(overrides)
    before = rows(first.path)
    (first.path / "run.json").unlink()
    again = run(overrides)
    assert not again.skipped
    assert (again.final, again.best) == (first.final, first.best)
    assert [row["step"] for row in rows(again.path)] == [row["step"] for row in before]


def test_a_run_that_was_killed_after_its_last_step_has_its_last_scores(tmp_path: Path) -> None:
    task = ["dataset=quadratic", "optimizer=la_eg", "max_steps=30", "tracker=none"]
    (whole,) = execute(configuration.load([*task, f"results_dir={tmp_path}/whole"]))
    settings = configuration.load([*task, f"results_dir={tmp_path}/cut"])
    (cut,) = execute(settings)
    record = cut.record | {"status": "running"}  # the last checkpoint stands after the last step
    (cut.path / "run.json").write_text(json.dumps(record))
    (resumed,) = execute(settings)
    assert resumed.final == whole.final


PAIR = ["optimizer=sgd", *DIGITS, "replicas=2"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    return execute(configuration.load([*PAIR, f"results_dir={tmp_path_factory.mktemp('pair')}"]))


@pytest.mark.parametrize("operation", [*range(3, 30, 3), *range(181, 200, 2)])  # 18 are a checkpoint of the two
def test_replicas_that_are_killed_before_a_file_operation_go_on_together(
    operation: int, pair: list[RunResult], tmp_path: Path
) -> None:
    settings = configuration.load([*PAIR, f"results_dir={tmp_path}"])
    process = start(settings, tmp_path / "output", prepare=partial(die_before, operation))
    process.join(60)
    assert process.exitcode == -9, (tmp_path / "output").read_text()
    for one, other in zip(pair, execute(settings), strict=True):
        assert_same_run(one, other)


def test_a_replica_that_went_on_alone_keeps_its_steps(tmp_path: Path) -> None:
    settings = configuration.load([*PAIR, f"results_dir={tmp_path}"])
    alone = start(configuration.load([*PAIR, "replicas=1", "seed=2", f"results_dir={tmp_path}"]), tmp_path / "output")
    wait_for(lambda: steps_saved(tmp_path) > 5)
    kill(alone, tmp_path)
    newest = generations(next(tmp_path.glob("runs/*-s2-*/checkpoints")))[-1]
    ((one, fresh),), ((_, state),) = by_checkpoint([RunDirectory(one) for one in settings.seeds()])
    assert (one.config["seed"], fresh) == (1, None)
    assert state is not None
    assert state["step"] >= int(newest.stem.removeprefix("step-")) - 1  # or it was killed in writing this one


SCATTERED = [
    ["optimizer=lookahead", *DIGITS],
    ["optimizer=extra_adam", *DIGITS, "resample=call"],
    ["optimizer=sam", *DIGITS, "evaluate_every=5steps"],
    ["optimizer=la_eg", "dataset=polar_game", "max_steps=40", "tracker=none"],  # with a picture
]


@pytest.mark.long
@pytest.mark.parametrize("overrides", SCATTERED, ids=lambda overrides: overrides[0])
def test_killed_before_many_file_operations(
    overrides: list[str], tmp_path: Path, survived: Callable[[int], None]
) -> None:
    """Every third of the first 60, which are those of the start and of two generations, and then here and there."""
    settings, chance = configuration.load(overrides), random.Random(1)
    (whole,) = execute(at(settings, tmp_path / "whole"))
    moments = [*range(1, 60, 3), *sorted(chance.sample(range(60, 160), 10))]
    for operation in moments:
        cut = at(settings, tmp_path / str(operation))
        process = start(cut, tmp_path / "output", prepare=partial(die_before, operation))
        process.join(60)
        assert process.exitcode == -9, (operation, (tmp_path / "output").read_text())
        (resumed,) = execute(cut)
        assert_same_run(whole, resumed)
    survived(len(moments))


@pytest.mark.long
@pytest.mark.parametrize("overrides", SCATTERED, ids=lambda overrides: overrides[0])
def test_killed_at_many_random_moments(overrides: list[str], tmp_path: Path, survived: Callable[[int], None]) -> None:
    for part in range(4):
        killed_and_resumed([*overrides, f"seed={part}"], tmp_path / str(part), kills=5)
    survived(4 * 5)

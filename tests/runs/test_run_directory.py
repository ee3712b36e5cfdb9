"""Section 3 of the design: what a run leaves behind."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_runs import ABOUT, DIGITS, OFFLINE, assert_same_run, embedded, rows, timeless

from lookahead_bench import configuration, run
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.files import options
from lookahead_bench.data.fetch import load
from lookahead_bench.errors import ConfigError, RunError
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.run import RunResult, execute
from lookahead_bench.scores import classifier

RUN = ["optimizer=lookahead", "optimizer.k=7", *DIGITS, "max_steps=45"]
POSITION = ["step", "oracle_calls", "samples", "epoch", "seconds", "split", "weights"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, f"results_dir={tmp_path_factory.mktemp('done')}"])


def test_the_files(done: RunResult) -> None:
    assert {path.name for path in done.path.iterdir()} == {
        "config.yaml", "run.json", "metrics.jsonl", "checkpoints", "run.lock",
    }  # fmt: skip
    assert done.path.parent.name == "runs"
    assert done.path.name == done.run_id
    assert done.run_id.startswith("digits-lookahead-s1-")


def test_config_yaml_tells_the_scientific_apart(done: RunResult) -> None:
    written = yaml.safe_load((done.path / "config.yaml").read_text())
    assert set(written) == {"scientific", "execution"}
    assert written["scientific"]["optimizer"]["k"] == 7
    assert written["scientific"]["max_steps"] == 45
    assert set(written["execution"]) == {
        "gpu",
        "tracker",
        "replicas",
        "data_dir",
        "results_dir",
        "study",
        "confirm",
        "force",
    }
    assert not set(written["scientific"]) & set(written["execution"])


def test_run_json(done: RunResult) -> None:
    record = json.loads((done.path / "run.json").read_text())
    assert record == done.record
    assert (record["status"], record["run_id"], record["metric"]) == ("done", done.run_id, "accuracy")
    assert (record["step"], record["oracle_calls"], record["samples"], record["epoch"]) == (45, 45, 45 * 64, 2.5)
    assert set(record["seconds"]) == {"train", "eval", "io"}
    assert set(record["final"]) == {"val", "test"}
    assert set(record["final"]["test"]) == {"fast", "slow"}
    assert set(record["final"]["test"]["slow"]) == {"loss", "accuracy"}
    assert {"torch", "python", "lookahead-bench"} - set(record["versions"]) <= {"lookahead-bench"}
    assert {"git_revision", "hardware", "command_line", "samples_per_s"} <= set(record)


def test_rows_come_at_step_1_every_20_and_the_last(done: RunResult) -> None:
    written = rows(done.path)
    train = [row for row in written if row["split"] == "train"]
    assert [row["step"] for row in train] == [1, 20, 40, 45]
    for row in written:
        assert list(row)[: len(POSITION)] == POSITION
    assert all({"loss", "accuracy"} <= set(row) for row in written)
    assert [row["samples"] for row in train] == [64, 1280, 2560, 2880]


def test_evaluations_come_before_the_first_step_at_the_epochs_and_at_the_end(done: RunResult) -> None:
    scored = [(row["step"], row["split"], row["weights"]) for row in rows(done.path) if row["split"] != "train"]
    val, whole = [("val", "fast"), ("val", "slow")], [(s, w) for w in ("fast", "slow") for s in ("val", "test")]
    expected = {0: whole, 18: val, 36: val, 45: whole}
    assert sorted(scored) == sorted((step, *which) for step, several in expected.items() for which in several)


def test_the_best_is_the_best_of_the_evaluated_weights_on_the_split_for_choosing(done: RunResult) -> None:
    slow = [(r["accuracy"], r["step"]) for r in rows(done.path) if (r["split"], r["weights"]) == ("val", "slow")]
    best = max(value for value, _ in slow)
    assert done.best == {
        "metric": "accuracy", "value": best, "split": "val", "weights": "slow",
        "step": next(step for value, step in slow if value == best),
    }  # fmt: skip
    assert done.value == best
    state = checkpoint.load(done.path / "checkpoints" / "best.pt")
    assert state is not None
    assert (state["step"], state["value"]) == (done.best["step"], best)


def test_checkpoints_are_two_generations_and_the_best_with_their_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "0")
    path = run([*RUN, f"results_dir={tmp_path}"]).path / "checkpoints"
    names = ["best.pt", "step-0000000044.pt", "step-0000000045.pt"]
    assert sorted(p.name for p in path.iterdir()) == sorted([*names, *(f"{name}.sha256" for name in names)])
    for name in names:
        assert checkpoint.digest_file(path / name).read_text().split() == [
            hashlib.sha256((path / name).read_bytes()).hexdigest(), name,
        ]  # fmt: skip
        torch.load(path / name, weights_only=True)


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_the_same_command_gives_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    settings = configuration.load([f"optimizer={optimizer}", *DIGITS, f"results_dir={tmp_path}"])
    (first,) = execute(settings)
    before = rows(first.path)
    (stored,) = execute(settings)
    assert stored.skipped
    assert (stored.final, stored.best, stored.record) == (first.final, first.best, first.record)
    (again,) = execute(configuration.Config({**settings.nodes, "force": True}))
    assert not again.skipped
    assert timeless(rows(again.path)) == timeless(before)
    assert (again.final, again.best) == (first.final, first.best)


def test_force_repeats_and_forgets_the_first_life(tmp_path: Path) -> None:
    first = run([*RUN, f"results_dir={tmp_path}/one"])
    (first.path / "samples").mkdir()
    (first.path / "samples" / "old.png").touch()
    again = run([*RUN, f"results_dir={tmp_path}/one", "force=true"])
    assert not (again.path / "samples").exists()
    assert_same_run(again, run([*RUN, f"results_dir={tmp_path}/two"]))


def test_a_run_of_two_numbers_leaves_a_picture_of_its_path(tmp_path: Path) -> None:
    game = ["dataset=polar_game", "optimizer=extragradient", "max_steps=60", "tracker=none"]
    result = run([*game, f"results_dir={tmp_path}/one"])
    picture = np.asarray(Image.open(result.path / "samples" / "trajectory.png").convert("RGB"))
    y, x = np.argwhere((picture[..., 0] > 190) & (picture[..., 2] < 60)).mean(0)  # the dot at its last point
    ends = [row for row in rows(result.path) if row["split"] == "test"]
    path = [row for row in rows(result.path) if row["split"] == "train" or row["step"] == 0]
    for axis, found in (("x", x - 225), ("y", 225 - y)):
        low, high = (f(row[axis] for row in path) for f in (min, max))
        span = max(max(row[a] for row in path) - min(row[a] for row in path) for a in "xy")
        assert found == pytest.approx((ends[-1][axis] - (low + high) / 2) / span * 390, abs=2)
    replicas = run([*game, "replicas=2", f"results_dir={tmp_path}/two"])
    assert not (replicas.path / "samples").exists()


@pytest.mark.parametrize("refused", ["gpu.device=cuda:99", "+optimizer.base.nesterov=true"])
def test_what_is_refused_forgets_no_finished_run(refused: str, tmp_path: Path) -> None:
    overrides = [*DIGITS, "optimizer=sgd", "optimizer.momentum=0.0", f"results_dir={tmp_path}"]
    first = run(overrides)
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError):
        run([*overrides, refused, "force=true"])
    assert {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()} == before
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [first.path.name]


@pytest.mark.parametrize("dataset", OFFLINE)
def test_every_task_leaves_rows_of_its_headline_metric(dataset: str, tmp_path: Path) -> None:
    short = [*embedded(dataset), "scale=smoke", "max_steps=4", "tracker=none", f"results_dir={tmp_path}"]
    leaves_rows_of_its_headline_metric(configuration.load(short))


# All of the real images and words are scored, before the first step and at the end; by networks that are quick at it.
NARROW = {
    "cifar10": ["model.widths=[4,8]"],
    "cifar100": ["model.widths=[4,8]"],
    "cifar10_gan": ["model.generator_width=8", "model.discriminator_width=8"],
    "ptb": ["model.width=20"],
}


@pytest.mark.parametrize("dataset", sorted(set(ABOUT) - set(OFFLINE)))
def test_every_task_on_real_data_leaves_rows_of_its_headline_metric(
    dataset: str, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "gan" in dataset:  # the classifier that judges is one that is trained in a second, and not kept with the data
        name, shape = ABOUT[dataset]["data"], load(ABOUT[dataset]["data"], real_data)["train_images"].shape
        pixels = {"pixels": int(np.prod(shape[1:])), "width": 8, "dropout": 0.0}
        quick = classifier.Recipe("perceptron", pixels, largest=255, epochs=1, batch_size=1000)
        monkeypatch.setitem(classifier.RECIPES, name, quick)  # type: ignore[misc]
        (tmp_path / "data").mkdir()
        for file in real_data.iterdir():
            if file.name != "classifiers":
                (tmp_path / "data" / file.name).symlink_to(file)
        real_data = tmp_path / "data"
    short = [f"dataset={dataset}", "scale=smoke", "max_steps=4", "tracker=none", f"results_dir={tmp_path}/results"]
    short += NARROW.get(dataset, [])
    leaves_rows_of_its_headline_metric(configuration.load([*short, f"data_dir={real_data}"]))


def leaves_rows_of_its_headline_metric(settings: Config) -> None:
    (result,) = execute(settings)
    written = rows(result.path)
    metric = settings.about["metric"]
    first, last = ([r for r in written if r["step"] == step and r["split"] != "train"] for step in (0, 4))
    assert first
    assert [(r["split"], r["weights"]) for r in first] == [(r["split"], r["weights"]) for r in last]
    assert all(metric in r for r in first + last)
    assert {r["weights"] for r in last} == {"fast", "slow"} | ({"ema"} if settings["ema"] is not None else set())
    steps = [r["step"] for r in written if r["split"] == "train"]
    assert steps in ([1, 4], [1, 2, 3, 4])  # a toy task has a row a step


def test_a_toy_task_has_a_row_at_every_step_up_to_1000_and_a_thousand_beyond(tmp_path: Path) -> None:
    for steps, expected in ((1000, list(range(1, 1001))), (2500, None)):
        result = run(
            ["dataset=bilinear", "dataset.dim=2", "dataset.batch_size=2", "optimizer=sgd", "optimizer.lr=0.001",
             f"max_steps={steps}", "tracker=none", f"results_dir={tmp_path}"]
        )  # fmt: skip
        taken = [row["step"] for row in rows(result.path) if row["split"] == "train"]
        assert (taken[0], taken[-1]) == (1, steps)
        assert expected is None or taken == expected
        assert 900 <= len(taken) <= 1001
        assert max(b - a for a, b in itertools.pairwise(taken)) <= -(-steps // 1000)


def test_a_run_in_another_runs_place_is_not_believed(tmp_path: Path) -> None:
    """What a collision of two ids would look like: 32 bits collided for these two rates of `quadratic_game`."""
    game = ["dataset=quadratic_game", "optimizer=sgd", "max_steps=5", "tracker=none", f"results_dir={tmp_path}"]
    one, other = run([*game, "optimizer.lr=0.001749"]), run([*game, "optimizer.lr=0.100768"])
    assert one.run_id != other.run_id
    text = (one.path / "config.yaml").read_text()
    (one.path / "config.yaml").write_text(text.replace("0.001749", "0.100768"))
    with pytest.raises(RunError, match=r"holds another run, whose optimizer differs; move it away"):
        run([*game, "optimizer.lr=0.001749"])
    (one.path / "config.yaml").write_text(text)
    assert run([*game, "optimizer.lr=0.001749"]).skipped


def test_scores_in_between_come_as_evaluate_every_says(tmp_path: Path) -> None:
    def steps(*overrides: str) -> list[int]:
        result = run([*DIGITS, "optimizer=la_eg", *overrides, f"results_dir={tmp_path}"])
        return [row["step"] for row in rows(result.path) if (row["split"], row["weights"]) == ("val", "slow")]

    assert steps() == [0, 18, 30]  # each epoch, as the task says
    assert steps("evaluate_every=12steps") == [0, 12, 24, 30]
    assert steps("evaluate_every=30oracle_calls") == [0, 15, 30]  # two calls a step
    assert steps("evaluate_every=25oracle_calls") == [0, 13, 25, 30]  # where a multiple was passed

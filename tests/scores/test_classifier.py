"""The classifiers that judge generated images: always the same, kept, refused when damaged, and good."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lookahead_bench.cli import command
from lookahead_bench.data.fetch import load
from lookahead_bench.errors import DataError
from lookahead_bench.runs.checkpoint import digest_file
from lookahead_bench.scores import classifier as module
from lookahead_bench.scores.classifier import RECIPES, SEED, Classifier, classifier, outputs, pixels, train

DIGITS = RECIPES["digits"]
NAME = f"digits-{DIGITS.digest}.pt"


@pytest.fixture(scope="module")
def kept(data_root: Path) -> Path:
    """The file of the trained classifier of digits."""
    classifier("digits", data_root)
    return data_root / "classifiers" / NAME


@pytest.fixture
def copied(kept: Path, tmp_path: Path) -> Path:
    """The same in a data directory of the test's own."""
    (tmp_path / "data" / "classifiers").mkdir(parents=True)
    for file in (kept, digest_file(kept)):
        shutil.copy(file, tmp_path / "data" / "classifiers")
    return tmp_path / "data" / "classifiers" / NAME


@pytest.fixture
def trainings(kept: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the classifiers that are trained, in no time."""
    done: list[str] = []
    state = torch.load(kept, weights_only=True)

    def quick(data: str, *rest: object) -> dict[str, Tensor]:
        done.append(data)
        return dict(state)

    monkeypatch.setattr(module, "train", quick)
    return done


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def accuracy(network: Classifier, data: str, data_dir: Path) -> float:
    arrays = load(data, data_dir)
    images = pixels(arrays["test_images"], arrays["test_labels"], RECIPES[data])
    values, labels = images.at(torch.arange(len(images)))
    assert (values.min(), values.max()) == (0, 1)
    return (outputs(network, values)[1].argmax(1) == labels).double().mean().item()


def test_it_is_the_same_whoever_trains_it(kept: Path, data_root: Path) -> None:
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    again = train("digits", data_root, DIGITS)
    assert same(again, torch.load(kept, weights_only=True))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_it_is_trained_once_and_then_loaded(copied: Path, trainings: list[str]) -> None:
    one = classifier("digits", copied.parents[1])
    assert trainings == []
    assert not one.training
    assert not any(p.requires_grad for p in one.parameters())
    digest_file(copied).unlink()
    copied.unlink()
    two, three = (classifier("digits", copied.parents[1]) for _ in range(2))
    assert trainings == ["digits"]
    assert same(one.state_dict(), two.state_dict())
    assert same(one.state_dict(), three.state_dict())


def test_one_whose_writer_was_killed_before_its_digest_is_trained_anew(copied: Path, trainings: list[str]) -> None:
    digest_file(copied).unlink()
    classifier("digits", copied.parents[1])
    assert trainings == ["digits"]
    assert digest_file(copied).exists()


def test_a_damaged_one_is_refused_in_one_line(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], trainings: list[str]
) -> None:
    data = bytearray(copied.read_bytes())
    data[len(data) // 2] ^= 1
    copied.write_bytes(data)
    with pytest.raises(DataError, match="is damaged: delete it"):
        classifier("digits", copied.parents[1])
    run = ["dataset=digits_gan", "scale=smoke", "tracker=none", f"results_dir={tmp_path}/results"]
    assert command([*run, f"data_dir={tmp_path}/data"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{copied} is damaged: delete it, and the next run trains the classifier of digits anew" in line
    assert trainings == []
    copied.unlink()
    assert command([*run, f"data_dir={tmp_path}/data"]) == 0
    assert trainings == ["digits"]


def test_another_recipe_is_another_file(copied: Path, trainings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(DIGITS, epochs=1)
    assert other.digest != DIGITS.digest
    monkeypatch.setitem(RECIPES, "digits", other)  # type: ignore[misc]
    classifier("digits", copied.parents[1])
    assert trainings == ["digits"]
    assert {path.name for path in copied.parent.glob("*.pt")} == {NAME, f"digits-{other.digest}.pt"}


def test_where_nothing_can_be_kept_it_is_trained_for_the_run_alone(
    tmp_path: Path, trainings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    network = classifier("digits", tmp_path / "file")
    (notice,) = caplog.messages
    assert "the classifier of digits is trained for this run alone: it cannot be kept ([Errno 20]" in notice
    assert trainings == ["digits"]
    assert accuracy(network, "digits", tmp_path) >= 0.95


@pytest.mark.parametrize("fails", ["save", "locked"])
def test_a_disk_that_fails_costs_one_training(
    fails: str, tmp_path: Path, trainings: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.checkpoint if fails == "save" else module, fails, full)
    classifier("digits", tmp_path)
    assert trainings == ["digits"]
    (notice,) = caplog.messages
    assert "No space left on device" in notice


def test_accuracy_on_digits(kept: Path, data_root: Path) -> None:
    assert accuracy(classifier("digits", data_root), "digits", data_root) >= 0.95


def test_accuracy_on_mnist(real_data: Path) -> None:
    assert accuracy(classifier("mnist", real_data), "mnist", real_data) >= 0.98


@pytest.mark.parametrize("data", RECIPES)
def test_features_are_what_the_head_reads(data: str) -> None:
    recipe = RECIPES[data]
    network = recipe.network().eval()
    images = torch.rand(7, *{"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}[data])
    features, logits = outputs(network, images)
    assert features.shape == (7, {"digits": 128, "mnist": 256, "cifar10": 64}[data])
    assert logits.shape == (7, 10)
    torch.testing.assert_close(network.head(features), logits)


def test_images_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = module.perceptron(64, 8, 0.0)
    images = torch.rand(25, 1, 8, 8)
    whole = outputs(network, images)
    monkeypatch.setattr(module, "AT_ONCE", 10)
    for part, expected in zip(outputs(network, images), whole, strict=True):
        torch.testing.assert_close(part, expected)


def test_the_generator_of_random_numbers_is_at_one_seed_while_training() -> None:
    with module.deterministic(1):
        found = torch.rand(3)
        assert torch.get_num_threads() == 1
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(SEED)))

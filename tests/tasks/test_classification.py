"""Image classification as a task: statistics, scores, replicas, state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny_runs import everyone, machine
from torch import Tensor, nn
from torch.nn import functional as F

from lookahead_bench.build import model_of
from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import channel_statistics, split
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.tasks import classification as module
from lookahead_bench.tasks.classification import Classification

CONF = Path(__file__).resolve().parents[2] / "conf"
MLP = {"_target_": "lookahead_bench.models.mlp.MLP", "hidden": [32]}
CNN = {"_target_": "lookahead_bench.models.cnn.CNN", "widths": [8, 16]}
RESNET = {
    "_target_": "lookahead_bench.models.resnet.ResNet",
    "widths": [4, 8],
    "blocks": [1, 1],
    "shortcut": "projection",
    "initialisation": "he",
}


def task(model: dict[str, Any] = MLP, **changed: Any) -> Classification:
    settings: dict[str, Any] = {"data": "digits", "data_dir": "unused", "seeds": [1], "batch_size": 64, "val_size": 237}
    settings |= {"augment": False, "dtype": torch.float32, "machine": machine()}
    return Classification(model=model_of(model), **settings | changed)


def train(trained: Classification, steps: int, lr: float = 0.05) -> Tensor:
    optimizer = torch.optim.SGD(trained.players["model"], lr=lr, momentum=0.9)
    for draw in range(steps):
        optimizer.zero_grad()
        losses = trained.losses(trained.batch(draw), everyone(trained, draw))
        trained.backward(losses)
        optimizer.step()
    return losses["model"].detach()


def scores(scored: Classification) -> dict[str, dict[str, Tensor]]:
    return dict(scored.evaluate(0))


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_digits_are_learnt_in_seconds() -> None:
    learner = task(yaml.safe_load((CONF / "model" / "mlp.yaml").read_text()))
    assert learner.batches_per_epoch == 18
    assert learner.samples_per_batch == 64
    train(learner, 10 * 18)
    found = scores(learner)
    assert list(found) == ["val", "test"]
    assert found["val"]["accuracy"] > 0.93
    assert found["test"]["accuracy"] > 0.93
    assert learner.train_metrics(0)["accuracy"] > 0.95


def test_scores_are_means_over_the_whole_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORED_AT_ONCE", 100)
    scored = task()
    train(scored, 20)
    arrays = load("digits", "unused")
    train_index, val_index = split(1437, 237)
    mean, std = channel_statistics(arrays["train_images"][train_index][..., None])
    for name, images, labels in (
        ("val", arrays["train_images"][val_index], arrays["train_labels"][val_index]),
        ("test", arrays["test_images"], arrays["test_labels"]),
    ):
        values = torch.from_numpy((images[:, None] - mean) / std).float()
        logits = scored.networks["model"](values)
        loss = F.cross_entropy(logits, torch.from_numpy(labels))
        accuracy = (logits.argmax(1).numpy() == labels).mean()
        assert scores(scored)[name]["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
        assert scores(scored)[name]["accuracy"].item() == pytest.approx(accuracy, rel=1e-12)


def test_val_size_zero_trains_on_all_and_scores_the_test_set() -> None:
    everything = task(val_size=0)
    assert everything.batches_per_epoch == 1437 // 64
    assert list(scores(everything)) == ["test"]


def test_the_initialisation_depends_on_the_seed_only_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = task(seeds=[3])
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    same_seed, other = task(seeds=[3], batch_size=16, val_size=0), task(seeds=[4])
    assert same(one.players["model"], same_seed.players["model"])
    assert not same(one.players["model"], other.players["model"])


def test_training_accuracy_is_that_of_the_first_evaluation_of_a_step() -> None:
    measured = task()
    assert measured.train_metrics(0) == {}
    images, labels = measured.batch(0)
    measured.losses((images, labels), everyone(measured))
    accuracy = measured.train_metrics(0)["accuracy"]
    measured.losses(measured.batch(1), everyone(measured, 1, first=False))
    assert torch.equal(measured.train_metrics(0)["accuracy"], accuracy)
    assert accuracy == (measured.networks["model"](images).argmax(1) == labels).float().mean()


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("model", [MLP, CNN], ids=["mlp", "cnn"])
def test_replicas_are_the_runs_of_their_seeds(model: dict[str, Any], augment: bool) -> None:
    together = task(model, seeds=[5, 6, 7], augment=augment)
    losses = train(together, 12)
    assert losses.shape == (3,)
    found, measured = scores(together), together.train_metrics(0)["accuracy"]
    for r in range(3):
        alone = task(model, seeds=[5 + r], augment=augment)
        torch.testing.assert_close(losses[r], train(alone, 12), atol=1e-6, rtol=1e-6)
        for stacked, parameter in zip(together.players["model"], alone.players["model"], strict=True):
            torch.testing.assert_close(stacked[r], parameter, atol=1e-6, rtol=1e-6)
        expected = scores(alone)
        for name in ("val", "test"):
            torch.testing.assert_close(found[name]["loss"][r], expected[name]["loss"], atol=1e-6, rtol=1e-6)
            assert found[name]["accuracy"][r] == expected[name]["accuracy"]
        assert measured[r] == alone.train_metrics(0)["accuracy"]


def test_only_the_training_passes_are_compiled_and_nothing_is_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []

    def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            calls.append(images)
            result: Tensor = network(images)
            return result

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    training = task(machine=machine(compile=True))
    assert list(training.state_dict()["model"]) == list(task().state_dict()["model"])
    train(training, 2)
    scores(training)
    assert len(calls) == 2


def test_channels_last_and_autocast() -> None:
    for model in (CNN, RESNET):
        plain, fast = task(model, machine=machine(channels_last=False)), task(model)
        expected = plain.losses(plain.batch(0), everyone(plain))["model"]
        with torch.autocast("cpu", torch.bfloat16):
            loss = fast.losses(fast.batch(0), everyone(fast))["model"]
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected, atol=0.05, rtol=0.05)


def test_what_the_data_cannot_give_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"batch_size=1300: at most the 1200"):
        task(batch_size=1300)
    with pytest.raises(ConfigError, match=r"val_size=1437: less than the 1437"):
        task(val_size=1437)
    with pytest.raises(DataError, match="lookahead-bench data cifar10"):
        task(data="cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar100"])
def test_the_yaml_names_models_and_budgets_for_every_scale(name: str) -> None:
    node = yaml.safe_load((CONF / "dataset" / f"{name}.yaml").read_text())
    assert node["name"] == name
    assert set(node["about"]["scales"]) == {"smoke", "cpu", "paper"}
    for scale in node["about"]["scales"].values():
        assert (CONF / "model" / f"{scale['model']}.yaml").exists()
        assert scale["epochs"] >= 1
        assert scale["precision"] in ("float32", "bfloat16")


def test_real_images_are_learnt(real_data: Path) -> None:
    learner = task(CNN, data="cifar10", data_dir=real_data, val_size=5000, augment=True)
    assert learner.batches_per_epoch == 45_000 // 64
    with torch.no_grad():
        first = learner.losses(learner.batch(0), everyone(learner))["model"]
    assert first == pytest.approx(np.log(10), rel=1e-3)  # the last layer starts at zero
    train(learner, 40)
    with torch.no_grad():
        last = [learner.losses(learner.batch(draw), everyone(learner))["model"] for draw in range(40, 50)]
    assert torch.stack(last).mean() < 2.2

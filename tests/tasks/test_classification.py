"""Image classification as a task: statistics, scores, replicas, state."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import channel_statistics, split
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.tasks import classification as module
from lookahead_bench.tasks.classification import Classification

CONF = Path(__file__).resolve().parents[2] / "conf"
MLP = {"_target_": "lookahead_bench.models.mlp.MLP", "name": "mlp", "batchnorm": False, "hidden": [32]}
CNN = {"_target_": "lookahead_bench.models.cnn.CNN", "name": "cnn", "batchnorm": False, "widths": [8, 16]}
RESNET = {
    "_target_": "lookahead_bench.models.resnet.ResNet",
    "widths": [4, 8],
    "blocks": [1, 1],
    "shortcut": "projection",
    "initialisation": "he",
}


def task(model: dict[str, Any] = MLP, **changed: Any) -> Classification:
    settings: dict[str, Any] = {"name": "digits", "data_dir": "unused", "seeds": [1], "batch_size": 64, "val_size": 237}
    return Classification(model=model, **settings | {"augment": False} | changed)


def train(trained: Classification, steps: int, lr: float = 0.05) -> Tensor:
    optimizer = torch.optim.SGD(trained.players["model"], lr=lr, momentum=0.9)
    for draw in range(steps):
        optimizer.zero_grad()
        losses = trained.losses(trained.batch(draw), ["model"])
        trained.backward(losses)
        optimizer.step()
    return losses["model"].detach()


def scores(scored: Classification) -> dict[str, dict[str, Tensor]]:
    return dict(scored.evaluate())


def buffers(of: Classification) -> list[Tensor]:
    return [buffer.clone() for buffer in of.network.buffers()]


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
    assert learner.train_metrics()["accuracy"] > 0.95


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
        logits = scored.network(values)
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
    assert measured.train_metrics() == {}
    images, labels = measured.batch(0)
    measured.losses((images, labels), ["model"])
    accuracy = measured.train_metrics()["accuracy"]
    with measured.frozen_statistics(True):
        measured.losses(measured.batch(1), ["model"])
    assert torch.equal(measured.train_metrics()["accuracy"], accuracy)
    assert accuracy == (measured.network(images).argmax(1) == labels).float().mean()


def test_evaluation_changes_nothing() -> None:
    scored = task(RESNET)
    train(scored, 3)
    before = buffers(scored)
    found = scores(scored)
    assert scored.network.training
    assert same(buffers(scored), before)
    assert all(torch.equal(a, b) for a, b in zip(found["test"].values(), scores(scored)["test"].values(), strict=True))


def test_frozen_statistics_stay_and_the_loss_is_the_same() -> None:
    frozen, moving = task(RESNET), task(RESNET)
    before = buffers(frozen)
    with frozen.frozen_statistics(True):
        still = frozen.losses(frozen.batch(0), ["model"])["model"]
    assert same(buffers(frozen), before)
    with moving.frozen_statistics(False):
        assert torch.equal(moving.losses(moving.batch(0), ["model"])["model"], still)
    assert not same(buffers(moving), before)
    frozen.losses(frozen.batch(0), ["model"])
    assert same(buffers(frozen), buffers(moving))  # afterwards they move again, the counter included


def test_frozen_statistics_survive_a_batch_that_is_not_finite() -> None:
    frozen = task(RESNET)
    before = buffers(frozen)
    images, labels = frozen.batch(0)
    with frozen.frozen_statistics(True):
        frozen.losses((images * float("inf"), labels), ["model"])
    assert same(buffers(frozen), before)


def test_reestimated_statistics_are_means_over_training_batches() -> None:
    estimated = task(RESNET)
    train(estimated, 5)
    first = next(m for m in estimated.network.modules() if isinstance(m, nn.BatchNorm2d))
    with estimated.restored_statistics(reestimate=True):
        batches = [estimated._statistics.batch(draw)[0] for draw in range(estimated.batches_per_epoch)]
        assert first.num_batches_tracked == len(batches) == 18
        with torch.no_grad():
            means = [estimated.network.conv(batch).mean((0, 2, 3)) for batch in batches]  # type: ignore[operator]
        torch.testing.assert_close(first.running_mean, torch.stack(means).mean(0), atol=1e-6, rtol=1e-5)
        assert not estimated.network.training
        assert first.momentum == 0.1


def test_at_most_fifty_batches_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    estimated = task(RESNET, batch_size=16)
    with estimated.restored_statistics(reestimate=True):
        assert estimated.network.get_buffer("bn.num_batches_tracked") == 50


@pytest.mark.parametrize("reestimate", [False, True])
def test_statistics_are_restored_bit_for_bit_even_after_an_error(reestimate: bool) -> None:
    restored = task(RESNET)
    train(restored, 3)
    before = buffers(restored)

    def fail() -> None:
        with restored.restored_statistics(reestimate):
            assert same(buffers(restored), before) is not reestimate
            scores(restored)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert same(buffers(restored), before)
    assert restored.network.training


def test_training_goes_on_as_if_nothing_had_been_scored() -> None:
    plain, scored = task(RESNET), task(RESNET)
    train(plain, 3)
    train(scored, 3)
    with scored.restored_statistics(reestimate=True):
        scores(scored)
    assert torch.equal(train(plain, 3), train(scored, 3))
    assert same(buffers(plain), buffers(scored))


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("model", [MLP, CNN], ids=["mlp", "cnn"])
def test_replicas_are_the_runs_of_their_seeds(model: dict[str, Any], augment: bool) -> None:
    together = task(model, seeds=[5, 6, 7], augment=augment)
    losses = train(together, 12)
    assert losses.shape == (3,)
    found, measured = scores(together), together.train_metrics()["accuracy"]
    for r in range(3):
        alone = task(model, seeds=[5 + r], augment=augment)
        torch.testing.assert_close(losses[r], train(alone, 12), atol=1e-6, rtol=1e-6)
        for stacked, parameter in zip(together.players["model"], alone.players["model"], strict=True):
            torch.testing.assert_close(stacked[r], parameter, atol=1e-6, rtol=1e-6)
        expected = scores(alone)
        for name in ("val", "test"):
            torch.testing.assert_close(found[name]["loss"][r], expected[name]["loss"], atol=1e-6, rtol=1e-6)
            assert found[name]["accuracy"][r] == expected[name]["accuracy"]
        assert measured[r] == alone.train_metrics()["accuracy"]


@pytest.mark.parametrize(
    "build", [lambda: task(RESNET), lambda: task(CNN, seeds=[1, 2])], ids=["batchnorm", "replicas"]
)
def test_state_is_loaded_in_place_through_weights_only(build: Callable[[], Classification]) -> None:
    trained, fresh = build(), build()
    train(trained, 4)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    pointers = [parameter.data_ptr() for parameter in fresh.players["model"]]
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert same([*fresh.network.state_dict().values()], [*trained.network.state_dict().values()])
    assert pointers == [parameter.data_ptr() for parameter in fresh.players["model"]]
    assert all(a is b for a, b in zip(fresh.players["model"], fresh.network.parameters(), strict=True))


def test_a_state_of_another_network_is_refused_before_anything_changes() -> None:
    fresh, other = task(), task({**MLP, "hidden": [16]})
    before = [parameter.clone() for parameter in fresh.players["model"]]
    with pytest.raises(ValueError, match=r"layers\.1\.bias: the network has shape \(32,\), the state \(16,\)"):
        fresh.load_state_dict(other.state_dict())
    assert same(before, fresh.players["model"])


def test_only_the_training_passes_are_compiled_and_nothing_is_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []

    def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            calls.append(images)
            result: Tensor = network(images)
            return result

        return run

    monkeypatch.setattr(torch, "compile", compiled)
    training = task(compile=True)
    assert list(training.state_dict()["model"]) == list(task().state_dict()["model"])
    train(training, 2)
    scores(training)
    assert len(calls) == 2


def test_channels_last_and_autocast() -> None:
    for model in (CNN, RESNET):
        plain, fast = task(model), task(model, channels_last=True)
        expected = plain.losses(plain.batch(0), ["model"])["model"]
        with torch.autocast("cpu", torch.bfloat16):
            loss = fast.losses(fast.batch(0), ["model"])["model"]
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected, atol=0.05, rtol=0.05)


def test_what_the_data_cannot_give_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"batch_size=1300: at most the 1200"):
        task(batch_size=1300)
    with pytest.raises(ConfigError, match=r"val_size=1437: less than the 1437"):
        task(val_size=1437)
    with pytest.raises(DataError, match="lookahead-bench data cifar10"):
        task(name="cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar100"])
def test_the_yaml_names_models_and_budgets_for_every_scale(name: str) -> None:
    node = yaml.safe_load((CONF / "dataset" / f"{name}.yaml").read_text())
    assert node["name"] == name
    assert set(node["scales"]) == {"smoke", "cpu", "paper"}
    for scale in node["scales"].values():
        assert (CONF / "model" / f"{scale['model']}.yaml").exists()
        assert scale["epochs"] >= 1
        assert scale["precision"] in ("float32", "bfloat16")


def test_real_images_are_learnt(real_data: Path) -> None:
    learner = task(CNN, name="cifar10", data_dir=real_data, val_size=5000, augment=True, channels_last=True)
    assert learner.batches_per_epoch == 45_000 // 64
    with torch.no_grad():
        first = learner.losses(learner.batch(0), ["model"])["model"]
    assert first == pytest.approx(np.log(10), rel=1e-3)  # the last layer starts at zero
    train(learner, 40)
    with torch.no_grad():
        last = [learner.losses(learner.batch(draw), ["model"])["model"] for draw in range(40, 50)]
    assert torch.stack(last).mean() < 2.2

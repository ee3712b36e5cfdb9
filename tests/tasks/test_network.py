"""What network tasks share: buffers, modes, dropout, frozen parameters, state, how heavy they are."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_runs import everyone, final_state, machine, rows
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lookahead_bench import run
from lookahead_bench.build import model_of
from lookahead_bench.hardware import Machine, Settings
from lookahead_bench.models.mlp import MLP
from lookahead_bench.oracle import Oracle
from lookahead_bench.seeds import generator
from lookahead_bench.tasks.base import Call
from lookahead_bench.tasks.classification import Classification
from lookahead_bench.tasks.network import NetworkTask, multiply_adds

CONF = Path(__file__).resolve().parents[2] / "conf"


class Duel(NetworkTask):
    """A generator with BatchNorm against a critic with BatchNorm and spectral norm."""

    def __init__(self) -> None:
        super().__init__(
            lambda: {
                "generator": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
                "critic": nn.Sequential(spectral_norm(nn.Linear(2, 4)), nn.BatchNorm1d(4), nn.Linear(4, 1)),
            },
            lambda networks: 8 * multiply_adds(networks["generator"], torch.zeros(1, 3)),
            seeds=[1], dtype=torch.float32, machine=machine(),
        )  # fmt: skip

    def batch(self, draw: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(8, 5, generator=generator(1, "latent", draw))
        return noise[:, :3], noise[:, 3:]

    def network_losses(self, batch: tuple[Tensor, Tensor], call: Call) -> dict[str, Tensor]:
        critic = self.training_forward["critic"]
        fake = critic(self.training_forward["generator"](batch[0])).mean()
        losses = {"generator": -fake, "critic": fake - critic(batch[1]).tanh().mean()}
        return {player: losses[player] for player in call.players}

    def statistics_passes(self) -> None:
        for draw in range(5):
            self.forward["critic"](self.forward["generator"](self.batch(draw)[0]))


def resnet(**changed: Any) -> Classification:
    model = yaml.safe_load((CONF / "model" / "resnet20.yaml").read_text()) | {"widths": [4, 8], "blocks": [1, 1]}
    settings: dict[str, Any] = {"data": "digits", "data_dir": "", "batch_size": 64, "val_size": 237, "augment": False}
    settings |= {"model": model, "seeds": [1], "dtype": torch.float32, "machine": machine()} | changed
    return Classification(**settings | {"model": model_of(settings["model"])})


TASKS: dict[str, Callable[[], NetworkTask]] = {"one network": resnet, "two networks": Duel}
each_task = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)


def train(task: NetworkTask, steps: int, lr: float = 0.05) -> dict[str, Tensor]:
    optimizer = torch.optim.SGD([p for params in task.players.values() for p in params], lr=lr, momentum=0.9)
    for draw in range(steps):
        optimizer.zero_grad()
        losses = task.losses(task.batch(draw), everyone(task, draw))
        task.backward(losses)
        optimizer.step()
    return losses


def buffers(task: NetworkTask, players: Sequence[str] | None = None) -> list[Tensor]:
    return [b.clone() for player in players or task.networks for b in task.networks[player].buffers()]


def same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# ------------------------------------------------------------------------------------------------------------- buffers


@each_task
def test_buffers_move_in_first_evaluations_only_and_the_loss_is_the_same(make: Callable[[], NetworkTask]) -> None:
    still, moving = make(), make()
    before = buffers(still)
    losses = still.losses(still.batch(0), everyone(still, first=False))
    assert same(buffers(still), before)
    assert same(list(losses.values()), list(moving.losses(moving.batch(0), everyone(moving)).values()))
    assert not same(buffers(moving), before)
    still.backward(losses)  # what it needs was not the copy that is gone
    still.losses(still.batch(0), everyone(still))
    assert same(buffers(still), buffers(moving))


def test_only_the_buffers_of_the_players_that_are_first_move() -> None:
    task = Duel()
    for players, first, moves in [
        (("critic",), ("critic",), {"critic"}),
        (("generator",), ("generator",), {"generator"}),
        (("generator", "critic"), ("generator",), {"generator"}),
        (("generator",), (), set()),
    ]:
        before = {player: buffers(task, [player]) for player in task.networks}
        task.losses(task.batch(0), Call(players, 0, fresh=True, first=first, seed=1))
        assert {player for player in task.networks if not same(before[player], buffers(task, [player]))} == moves


def test_a_batch_that_is_not_finite_leaves_no_trace_in_a_later_evaluation() -> None:
    task = resnet()
    before = buffers(task)
    images, labels = task.batch(0)
    task.losses((images * float("inf"), labels), everyone(task, first=False))
    assert same(buffers(task), before)


# ------------------------------------------------------------------------------------------------------------- scoring


def test_evaluation_changes_nothing() -> None:
    task = resnet()
    train(task, 3)
    before = buffers(task)
    found, again = (dict(task.evaluate(3)) for _ in range(2))
    assert task.networks["model"].training
    assert same(buffers(task), before)
    assert same(list(found["test"].values()), list(again["test"].values()))


def test_reestimated_statistics_are_means_over_training_batches() -> None:
    task = resnet()
    train(task, 5)
    network = task.networks["model"]
    first = network.get_submodule("bn")
    with task.restored_statistics(reestimate=True):
        batches = [task._statistics.batch(draw)[0] for draw in range(task.batches_per_epoch or 0)]
        assert first.num_batches_tracked == len(batches) == 18
        with torch.no_grad():
            means = [network.get_submodule("conv")(batch).mean((0, 2, 3)) for batch in batches]
        torch.testing.assert_close(first.running_mean, torch.stack(means).mean(0), atol=1e-6, rtol=1e-5)
        assert not network.training
        assert first.momentum == 0.1


def test_at_most_fifty_batches_are_used() -> None:
    task = resnet(batch_size=16)
    with task.restored_statistics(reestimate=True):
        assert task.networks["model"].get_buffer("bn.num_batches_tracked") == 50


@each_task
@pytest.mark.parametrize("reestimate", [False, True])
def test_statistics_are_restored_bit_for_bit_even_after_an_error(
    make: Callable[[], NetworkTask], reestimate: bool
) -> None:
    task = make()
    train(task, 3)
    before = buffers(task)

    def fail() -> None:
        with task.restored_statistics(reestimate):
            assert not any(network.training for network in task.networks.values())
            assert same(buffers(task), before) is not reestimate
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert same(buffers(task), before)
    assert all(network.training for network in task.networks.values())


@each_task
def test_training_goes_on_as_if_nothing_had_been_scored(make: Callable[[], NetworkTask]) -> None:
    plain, scored = make(), make()
    train(plain, 3)
    train(scored, 3)
    with scored.restored_statistics(reestimate=True):
        pass
    assert same(list(train(plain, 3).values()), list(train(scored, 3).values()))
    assert same(buffers(plain), buffers(scored))


# ------------------------------------------------------------------------------------------------------------- dropout


class Dropping(MLP):
    """Half of the pixels at a time."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(images, 0.5, self.training))


@pytest.mark.parametrize("resample", ["step", "call"])
def test_dropout_masks_belong_to_the_draw(resample: str) -> None:
    def losses(seed: int, disturbed: bool = False) -> list[float]:
        task = resnet(model={"_target_": f"{__name__}.Dropping", "hidden": [8]})
        task.batch = lambda draw: batch  # type: ignore[method-assign]  # so that the masks are all that differs
        oracle = Oracle(task, seed=seed, resample=resample, clip_norm=None, autocast=None)
        values = []
        for _ in range(2):
            oracle.begin_step()
            for _ in range(3):  # three evaluations at one point
                values.append(oracle().item())
                torch.rand(7 if disturbed else 0)
        return values

    batch = resnet().batch(0)
    found = losses(1)
    assert found == losses(1, disturbed=True)
    assert not set(found) & set(losses(2))
    assert len(set(found)) == (2 if resample == "step" else 6)
    if resample == "step":
        assert len(set(found[:3])) == len(set(found[3:])) == 1


# -------------------------------------------------------------------------------------------------- frozen and unused


class Frozen(MLP):
    """Its first layer never learns, and nothing asks for one parameter."""

    def __init__(self, **shape: Any) -> None:
        super().__init__(**shape)
        self.layers[1].requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(3))


@pytest.mark.parametrize("more", [[], ["replicas=2"], ["clip_norm=1.0"]], ids=lambda more: " ".join(more) or "plain")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lookahead", "la_eg", "past_extragradient", "polyak"])
def test_a_network_with_a_frozen_and_an_unused_parameter_trains(
    tmp_path: Path, optimizer: str, more: list[str]
) -> None:
    result = run([
        f"optimizer={optimizer}", "model=mlp", f"model._target_={__name__}.Frozen", "model.hidden=[32]", "max_steps=60",
        "optimizer.lr=0.1", "tracker=none", f"results_dir={tmp_path}", *more,
    ])  # fmt: skip
    assert result.status == "done"
    losses = [row["loss"] for row in rows(result.path) if row["split"] == "val" and row["weights"] == "fast"]
    assert losses[-1] < 0.95 * losses[0]
    state = final_state(result.path)["task"]["model"]
    first = resnet(model={"_target_": f"{__name__}.Frozen", "hidden": [32]}).state_dict()["model"]
    assert torch.equal(state["layers.1.weight"], first["layers.1.weight"])
    assert torch.equal(state["unused"], first["unused"])
    assert not torch.equal(state["layers.3.weight"], first["layers.3.weight"])


# --------------------------------------------------------------------------------------------------------------- state


@each_task
def test_state_is_loaded_in_place_through_weights_only(make: Callable[[], NetworkTask]) -> None:
    trained, fresh = make(), make()
    train(trained, 4)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    parameters = [p for params in fresh.players.values() for p in params]
    pointers = [p.data_ptr() for p in parameters]
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert same(buffers(fresh), buffers(trained))
    assert same(parameters, [p for params in trained.players.values() for p in params])
    assert pointers == [p.data_ptr() for p in parameters]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("critic"), r"0\.bias: the network has shape \(4,\), the state None"),
        (lambda state: state["critic"].update({"2.bias": torch.zeros(2)}), r"2\.bias: .* \(1,\), the state \(2,\)"),
        (lambda state: state["critic"].update({"more": torch.zeros(2)}), r"more: .* None, the state \(2,\)"),
    ],
)
def test_a_state_of_other_networks_is_refused_before_anything_changes(
    spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    fresh, trained = Duel(), Duel()
    train(trained, 2)
    state = trained.state_dict()
    spoil(state)
    before = [t.clone() for tensors in fresh.state_dict().values() for t in tensors.values()]
    with pytest.raises(ValueError, match=message):
        fresh.load_state_dict(state)
    assert same(before, [t for tensors in fresh.state_dict().values() for t in tensors.values()])


# --------------------------------------------------------------------------------------------------- how heavy it is


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp", 64 * 128 + 128 * 128 + 128 * 10),  # on digits
        ("resnet20", 40.6e6),  # He et al.: 41 million
    ],
)
def test_multiply_adds_of_a_sample(name: str, expected: float) -> None:
    node = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    shape = (1, 8, 8) if name == "mlp" else (3, 32, 32)
    network = model_of(node)(in_shape=shape, classes=10)
    before = [b.clone() for b in network.buffers()]
    assert multiply_adds(network, torch.zeros(1, *shape)) == pytest.approx(expected, rel=0.01)
    assert network.training
    assert same(list(network.buffers()), before)


def test_the_work_of_a_task_is_of_a_batch_of_all_replicas() -> None:
    asked: list[float] = []

    class Asked(Machine):
        def settle(self, *, work: float = 0.0, **facts: bool) -> Settings:
            asked.append(work)
            return super().settle(work=work, **facts)

    here = Asked(machine().node, torch.device("cpu"))
    for seeds in ([1], [1, 2, 3]):
        resnet(model={"_target_": "lookahead_bench.models.mlp.MLP", "hidden": [32]}, seeds=seeds, machine=here)
    one = 64 * (64 * 32 + 32 * 10)
    assert asked == [one, 3 * one]

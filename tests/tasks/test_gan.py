"""GANs: gradients, alternation and its Lookahead, statistics, averages, replicas, resuming, pictures."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gan_tasks import BY_HAND, Snow, alternating_adam_with_syncs, gradients_by_hand, mixture, trainer
from PIL import Image
from tiny_runs import assert_same_run, everyone, final_state, rows, tensors, timeless
from torch import Tensor

from lookahead_bench import configuration, run
from lookahead_bench.cli import command
from lookahead_bench.configuration.files import options
from lookahead_bench.configuration.identity import run_id
from lookahead_bench.models.gan import DCGAN, ResNetPair
from lookahead_bench.optim import evaluation_weights
from lookahead_bench.optim.evaluation import evaluation_kinds
from lookahead_bench.oracle import Oracle
from lookahead_bench.runs.run import RunResult, execute
from lookahead_bench.tasks.gan import DISCRIMINATOR, GAN, GENERATOR
from lookahead_bench.tasks.image_gan import SIDE, grid
from lookahead_bench.trainer import Trainer

BOTH = (DISCRIMINATOR, GENERATOR)
SHORT = ["dataset=digits_gan", "scale=smoke", "dataset.batch_size=16", "model.hidden=[16]", "tracker=none"]
MIXTURE = ["dataset=gaussians_gan", *SHORT[1:], "dataset.scored=60"]


def oracle(task: GAN, **changed: Any) -> Oracle:
    settings: dict[str, Any] = {"seed": 1, "resample": "step", "clip_norm": None, "autocast": None}
    return Oracle(task, **settings | changed)


def gradients(task: GAN, player: str) -> list[Tensor]:
    return [p.grad.clone() for p in task.players[player] if p.grad is not None]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def close(a: list[Tensor], b: list[Tensor]) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)


# ----------------------------------------------------------------------------------------------------------- gradients


GAMES: dict[str, Callable[..., GAN]] = {
    "points": mixture,
    "spectral norm": partial(
        Snow, partial(ResNetPair, generator_width=2, discriminator_width=2), (3, 32, 32), batch_size=2
    ),
    "BatchNorm": partial(Snow, partial(DCGAN, width=2), (1, 28, 28), batch_size=3),
}


@pytest.mark.parametrize("penalty", [0.0, 10.0], ids=["", "penalty"])
@pytest.mark.parametrize("loss", BY_HAND)
def test_each_players_gradient_is_that_of_its_own_loss(loss: str, penalty: float) -> None:
    task = mixture(loss=loss, gradient_penalty=penalty)
    evaluate = oracle(task, resample="call")
    for draw in range(2):
        expected = {player: gradients_by_hand(task, player, draw, loss, penalty) for player in BOTH}
        total = evaluate()
        torch.testing.assert_close(total, expected[DISCRIMINATOR][0] + expected[GENERATOR][0], rtol=1e-12, atol=0)
        for player in BOTH:
            close(gradients(task, player), expected[player][1])


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("loss", BY_HAND)
def test_a_player_alone_gets_the_same_gradient_and_leaves_the_others_alone(game: str, loss: str) -> None:
    """So computing the discriminator's logits on generated samples once for both changes nothing."""
    task = GAMES[game](loss=loss, gradient_penalty=10.0 if game == "points" else 0.0)
    start = [buffer.clone() for network in task.networks.values() for buffer in network.buffers()]
    oracle(task)()
    together = {player: gradients(task, player) for player in BOTH}
    for player, other in (BOTH, BOTH[::-1]):
        for network in task.networks.values():
            for buffer in network.buffers():
                buffer.copy_(start[0])
                start.append(start.pop(0))
        for p in task.players[other]:
            p.grad = torch.full_like(p, 7.0)
        oracle(task)(players=[player])
        close(gradients(task, player), together[player])
        assert all((g == 7.0).all() for g in gradients(task, other))


def test_a_gradient_penalty_of_images_by_hand() -> None:
    task = Snow(partial(ResNetPair, generator_width=2, discriminator_width=2), (3, 32, 32), batch_size=2,
                gradient_penalty=3.0, loss="hinge")  # fmt: skip
    for network in task.networks.values():
        network.eval()  # so that every evaluation meets the same spectral norms
    value, expected = gradients_by_hand(task, DISCRIMINATOR, 0, "hinge", 3.0)
    assert oracle(task)(players=[DISCRIMINATOR]) == pytest.approx(value.item(), rel=1e-12)
    close(gradients(task, DISCRIMINATOR), expected)


def test_loss_and_gradient_are_of_the_precision_asked_for() -> None:
    exact, rough = mixture(), mixture(dtype=torch.float32)
    with torch.no_grad():
        for player in BOTH:
            for p, q in zip(exact.players[player], rough.players[player], strict=True):
                p.copy_(q)
    assert oracle(exact)().dtype == torch.float64
    assert oracle(rough)().dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        losses = rough.losses(rough.batch(0), everyone(rough))
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


# --------------------------------------------------------------------------------------- alternation and its Lookahead


@pytest.mark.parametrize(("optimizer", "k"), [("lookahead_minmax", [3]), ("nested_lookahead_minmax", [2, 2])])
def test_lookahead_counts_rounds_of_alternation_and_both_players_sync_together(
    optimizer: str, k: list[int], tmp_path: Path
) -> None:
    own = ["optimizer.alpha=0.25", f"optimizer.k={k if len(k) > 1 else k[0]}", "optimizer.lr=0.01"]
    overrides = [*MIXTURE, "precision=float64", f"optimizer={optimizer}", *own, "ema=0.75"]
    ours, other = trainer(tmp_path, *overrides), trainer(tmp_path, *overrides)
    assert isinstance(other.task, GAN)
    expected = alternating_adam_with_syncs(other.task, 0.01, (0.5, 0.999), k, 0.25, 0.75)
    parameters = ours.evaluator.parameters
    for _ in range(9):
        ours.take_step()
        weights, average = next(expected)
        close([p.detach() for p in parameters], weights)
        with evaluation_weights(ours.optimizer, "ema"):
            close([p.detach() for p in parameters], average)
    assert ours.oracle.calls == 9


def test_a_sync_is_a_step_back_of_both_players_to_the_same_round(tmp_path: Path) -> None:
    run_ = trainer(tmp_path, *MIXTURE, "optimizer=lookahead_minmax", "optimizer.k=3", "optimizer.alpha=0.0")
    start = [p.detach().clone() for p in run_.evaluator.parameters]
    moved = []
    for _ in range(6):
        run_.take_step()
        moved.append([not torch.equal(p, s) for p, s in zip(run_.evaluator.parameters, start, strict=True)])
    assert [all(m) for m in moved] == [True, True, False] * 2
    assert not any(moved[2] + moved[5])


# ------------------------------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize(
    "optimizer",
    [
        ["optimizer=lookahead_minmax", "optimizer.order=[[discriminator],[discriminator],[generator]]"],
        ["optimizer=nested_lookahead_minmax", "optimizer.k=[2,3]", "optimizer.pullback=pullback"],
        ["optimizer=la_extra_adam", "optimizer.k=3", "resample=step"],
        ["optimizer=alt_rapp_adam", "clip_norm=0.5"],
    ],
    ids=lambda overrides: overrides[0],
)
def test_a_run_that_was_interrupted_in_the_middle_of_a_cycle_goes_on_bit_for_bit(
    optimizer: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*SHORT, *optimizer, "max_steps=7", "max_oracle_calls=null", "evaluate_every=3steps"]
    whole = run([*overrides, f"results_dir={tmp_path}/whole"])
    step = Trainer.take_step

    def and_a_signal(self: Trainer) -> None:
        step(self)
        if self.step in (2, 4):
            os.kill(os.getpid(), signal.SIGUSR1)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "take_step", and_a_signal)
        for _ in range(2):
            assert command([*overrides, f"results_dir={tmp_path}/stopped"]) == 128 + signal.SIGUSR1
    resumed = run([*overrides, f"results_dir={tmp_path}/stopped"])
    assert resumed.status == "done"
    assert_same_run(whole, resumed)


# ---------------------------------------------------------------------------------------------------------- statistics


def buffers(task: GAN) -> dict[str, list[Tensor]]:
    return {player: [b.clone() for b in task.networks[player].buffers()] for player in BOTH}


@pytest.mark.parametrize("game", ["spectral norm", "BatchNorm"])
def test_statistics_move_in_each_players_first_evaluation_of_a_step(game: str) -> None:
    task = GAMES[game]()
    evaluate = oracle(task)
    before = buffers(task)
    assert all(before.values())  # both have some
    for begins, players, moving in [
        (True, [DISCRIMINATOR], {DISCRIMINATOR}),
        (False, [DISCRIMINATOR], set()),
        (False, [GENERATOR], {GENERATOR}),
        (False, [GENERATOR], set()),
        (True, None, {*BOTH}),
        (False, None, set()),  # extragradient's second evaluation
    ]:
        if begins:
            evaluate.begin_step()
            with torch.no_grad():
                for p in itertools.chain(*task.players.values()):
                    p.add_(0.1)
        evaluate(players)
        after = buffers(task)
        for player in BOTH:
            moved = [not torch.equal(a, b) for a, b in zip(after[player], before[player], strict=True)]
            # a layer of one output, the last, has a vector of one number, which is 1 for good
            enough = all(m for m, b in zip(moved, after[player], strict=True) if b.numel() > 1)
            assert enough if player in moving else not any(moved)
        before = after


def test_scoring_moves_no_statistics() -> None:
    task = GAMES["spectral norm"]()
    oracle(task)()
    before = buffers(task)
    for reestimate in (False, True):
        with task.restored_statistics(reestimate), torch.no_grad():
            (samples,) = task.generated(7)
            task.forward[DISCRIMINATOR](samples)
        assert samples.shape == (7, 3, 32, 32)
    after = buffers(task)
    assert all(same(before[player], after[player]) for player in BOTH)
    assert all(network.training for network in task.networks.values())


def test_statistics_for_other_weights_are_the_generators_over_noise() -> None:
    task = GAMES["BatchNorm"]()
    oracle(task)()
    with task.restored_statistics(reestimate=True):
        norm = next(m for m in task.networks[GENERATOR].modules() if isinstance(m, torch.nn.BatchNorm2d))
        assert norm.num_batches_tracked == 50
        assert not torch.equal(norm.running_var, torch.ones_like(norm.running_var))
        judged = next(m for m in task.networks[DISCRIMINATOR].modules() if isinstance(m, torch.nn.BatchNorm2d))
        assert judged.num_batches_tracked == 0  # it is not scored


@pytest.mark.parametrize("players", [[DISCRIMINATOR], [GENERATOR], None], ids=str)
def test_an_evaluation_is_one_power_iteration_of_every_layer(
    players: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.nn.utils.parametrizations import _SpectralNorm

    task = GAMES["spectral norm"]()
    iterations: list[int] = []
    iterate = _SpectralNorm._power_method
    monkeypatch.setattr(
        _SpectralNorm, "_power_method", lambda self, *given: (iterations.append(id(self)), iterate(self, *given))[1]
    )
    oracle(task)(players)
    layers = [m for m in task.networks[DISCRIMINATOR].modules() if isinstance(m, _SpectralNorm)]
    assert sorted(iterations) == sorted(map(id, layers))


# -------------------------------------------------------------------------------------------------- scoring and average


def training_rows(result: RunResult) -> list[dict[str, Any]]:
    return [row for row in timeless(rows(result.path)) if row["split"] == "train"]


@pytest.mark.parametrize("dataset", [SHORT, MIXTURE], ids=lambda overrides: overrides[0])
def test_scoring_has_random_streams_of_its_own(dataset: list[str], tmp_path: Path) -> None:
    results = [
        run([*dataset, "optimizer=lookahead_minmax", f"evaluate_every={often}", f"results_dir={tmp_path}"])
        for often in ("3oracle_calls", "10steps", "null")
    ]
    evaluated = [len({row["step"] for row in rows(one.path) if row["split"] != "train"}) for one in results]
    assert evaluated == [8, 3, 2]  # of twenty steps, and those before the first and after the last
    assert training_rows(results[0]) == training_rows(results[1]) == training_rows(results[2])
    assert same(*(list(tensors(final_state(one.path)["task"])) for one in (results[0], results[2])))
    assert results[0].final == results[1].final == results[2].final


def wrappers(*overrides: str) -> list[dict[str, Any]]:
    node = configuration.load(["dataset=digits_gan", *overrides])["optimizer"]
    return [{**w, "_target_": w["_target_"].rpartition(".")[2]} for w in node["wrappers"]]


def test_the_average_stands_inside_of_all_that_judges_the_method(tmp_path: Path) -> None:
    average = {"_target_": "Averaged", "decay": 0.9}
    alternating, lookahead = {"_target_": "Alternating"}, {"_target_": "Lookahead"}
    assert wrappers("ema=0.9", "optimizer=lookahead_minmax") == [alternating, average, lookahead]
    assert wrappers("ema=0.9", "optimizer=adam") == [average]
    assert wrappers("ema=0.9", "optimizer=alt_rapp")[2:] == [average]
    assert wrappers("ema=null", "optimizer=lookahead_minmax") == [alternating, lookahead]
    assert len(wrappers("ema=0.9", "optimizer=ema")) == 1  # which has one of its own
    polyak = trainer(tmp_path, *MIXTURE, "optimizer=polyak", "ema=0.9")
    assert evaluation_kinds(polyak.optimizer) == ["fast", "ema", "average"]


def test_the_average_is_scored_and_changes_nothing_else(tmp_path: Path) -> None:
    short = [*SHORT, "optimizer=lookahead_minmax", "max_oracle_calls=12", f"results_dir={tmp_path}"]
    averaged, plain = run([*short, "ema=0.9"]), run([*short, "ema=null"])
    for result, kinds in ((averaged, ["ema", "fast", "slow"]), (plain, ["fast", "slow"])):
        scored = [row["weights"] for row in rows(result.path) if row["split"] == "val"]
        assert scored == kinds * (len(scored) // len(kinds))
    assert training_rows(averaged) == training_rows(plain)

    def of_slow(result: RunResult) -> list[dict[str, Any]]:
        return [row for row in timeless(rows(result.path)) if row["weights"] == "slow"]

    assert of_slow(averaged) == of_slow(plain)
    assert averaged.run_id != plain.run_id
    assert averaged.final == plain.final | averaged.final


def test_runs_without_an_average_have_the_names_that_they_had_before_there_was_one() -> None:
    science = configuration.load(["optimizer=lookahead"]).scientific
    assert science["ema"] is None
    assert run_id({k: v for k, v in science.items() if k != "ema"}) == run_id(science)


def test_an_average_beside_the_optimizers_own_is_the_same_run() -> None:
    ids = {configuration.load([*SHORT, "optimizer=ema", f"ema={ema}"]).run_id for ema in ("0.9", "0.99", "null")}
    assert len(ids) == 1


# --------------------------------------------------------------------------------------------------- settings, methods


def test_rates_and_betas_of_each_player(tmp_path: Path) -> None:
    built = trainer(
        tmp_path, *MIXTURE, "optimizer=lookahead_minmax", "optimizer.lr={generator:1e-4,discriminator:2e-4}",
        "optimizer.betas={generator:[0,0.9],discriminator:[0.5,0.99]}",
    )  # fmt: skip
    found = {group["player"]: (group["lr"], group["betas"]) for group in built.optimizer.param_groups}
    assert found == {DISCRIMINATOR: (2e-4, (0.5, 0.99)), GENERATOR: (1e-4, (0.0, 0.9))}
    for group in built.optimizer.param_groups:
        assert group["params"] == built.task.players[group["player"]]


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_method_trains_a_gan(optimizer: str, tmp_path: Path) -> None:
    result = run([*SHORT, f"optimizer={optimizer}", "max_oracle_calls=6", "dataset.scored=50", "ema=null",
                  f"results_dir={tmp_path}"])  # fmt: skip
    assert result.status == "done"
    assert result.record["oracle_calls"] >= 4
    last = training_rows(result)[-1]
    assert {"loss", "loss_discriminator", "loss_generator"} <= last.keys()
    assert last["loss"] == last["loss_discriminator"]
    scored = [row for row in rows(result.path) if row["split"] == "val" and row["weights"] == "fast"]
    assert scored[0]["fid"] != scored[-1]["fid"]


# ------------------------------------------------------------------------------------------------------------ replicas


@pytest.mark.parametrize("extra", [[], ["dataset.gradient_penalty=1.0", "dataset.loss=wasserstein"]], ids=len)
@pytest.mark.parametrize("dataset", [SHORT, MIXTURE], ids=lambda overrides: overrides[0])
def test_replicas_are_the_runs_of_their_seeds(dataset: list[str], extra: list[str], tmp_path: Path) -> None:
    short = [*dataset, *extra, "optimizer=lookahead_minmax", "max_steps=20", "max_oracle_calls=null"]
    together = execute(configuration.load([*short, "replicas=3", f"results_dir={tmp_path}/together"]))
    alone = configuration.load([*short, f"results_dir={tmp_path}/alone"])
    assert len(together) == 3
    for r, one in enumerate(together):
        (other,) = execute(alone.with_seed(1 + r))
        assert (one.run_id, one.status) == (other.run_id, "done")
        for mine, theirs in zip(timeless(rows(one.path)), timeless(rows(other.path)), strict=True):
            assert mine.keys() == theirs.keys()
            for key, value in theirs.items():
                assert mine[key] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5, abs=1e-6)), key


# ------------------------------------------------------------------------------------------------------------ pictures


def pictures(result: RunResult) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted((result.path / "samples").iterdir()):
        with Image.open(path) as image:
            found[path.name] = image.size
    return found


def test_every_evaluation_leaves_a_picture_of_every_kind_of_weights(tmp_path: Path) -> None:
    short = ["optimizer=lookahead_minmax", "optimizer.k=3", "max_oracle_calls=4", "evaluate_every=2steps",
             "ema=0.9", f"results_dir={tmp_path}"]  # fmt: skip
    names = {f"{kind}-{step:08d}.png" for kind in ("fast", "ema", "slow") for step in (0, 2, 4)}
    found = pictures(run([*SHORT, *short]))
    assert found == dict.fromkeys({*names, "real.png"}, (264, 264))  # 8 of 8 pixels, enlarged to 32, and a line
    found = pictures(run([*MIXTURE, *short]))
    assert found.keys() == names


@pytest.mark.parametrize(("shape", "side"), [((1, 8, 8), 32), ((1, 28, 28), 28), ((3, 32, 32), 32)])
def test_a_grid_of_images_has_every_pixel_where_it_belongs(shape: tuple[int, ...], side: int) -> None:
    images = torch.zeros(SIDE**2, *shape)
    images[10, 0, 2, 3] = 1.0  # the third in the second row
    images[63, -1, 0, 0] = 0.5
    images[0, 0, 0, 1] = -3.0  # darker than black is black, brighter than white is white
    images[0, 0, 0, 0] = 3.0
    picture = grid(images)
    assert picture.shape == (8 * (side + 1), 8 * (side + 1), 3)
    assert picture.dtype == np.uint8
    assert (picture[:: side + 1] == 128).all()
    assert (picture[:, :: side + 1] == 128).all()
    pixel = side // shape[1]
    cells = picture.reshape(8, side + 1, 8, side + 1, 3)[:, 1:, :, 1:].transpose(0, 2, 1, 3, 4)
    expected = np.zeros((8, 8, side, side, 3))
    white = [1, 1, 1] if shape[0] == 1 else [1, 0, 0]
    expected[1, 2, 2 * pixel : 3 * pixel, 3 * pixel : 4 * pixel] = 255 * np.array(white)
    expected[0, 0, :pixel, :pixel] = 255 * np.array(white)
    expected[7, 7, :pixel, :pixel] = 128 * np.array([1, 1, 1] if shape[0] == 1 else [0, 0, 1])
    assert (cells == expected).all()


def test_missing_images_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["dataset=mnist_gan", "tracker=none", f"results_dir={tmp_path}", f"data_dir={tmp_path}/no"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "lookahead-bench data mnist" in line
    assert not (tmp_path / "no" / "classifiers").exists()

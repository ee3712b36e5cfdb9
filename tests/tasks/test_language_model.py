"""Language models: the state that moves along the stream, exact scores, dropouts, the head, resuming."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_runs import assert_same_run, everyone, final_state, machine, rows
from torch import Tensor
from torch.nn import functional as F

from lookahead_bench import configuration, run
from lookahead_bench.build import model_of
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.models import head
from lookahead_bench.models.lstm import AWDLSTM, LSTM, locked_dropout
from lookahead_bench.optim import Lookahead, ProximalPoint
from lookahead_bench.oracle import Oracle
from lookahead_bench.runs.run import RunResult
from lookahead_bench.tasks import language_model as module
from lookahead_bench.tasks.language_model import LanguageModel, Windows
from lookahead_bench.trainer import Trainer

CONF = Path(__file__).resolve().parents[2] / "conf"
SMALL = {"_target_": "lookahead_bench.models.lstm.LSTM", "layers": 2, "width": 8, "dropout": 0.0}
SMALL |= {"tied": False, "initial": 0.1}
AWD = yaml.safe_load((CONF / "model" / "awd_lstm.yaml").read_text())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("\n".join(f"the {i % 7} of {i % 5} and {i % 3}" for i in range(200)))
    return path


def task(text: Path, model: dict[str, Any] | None = None, **changed: Any) -> LanguageModel:
    settings: dict[str, Any] = {"data_dir": "", "text_file": str(text), "vocabulary": 100, "batch_size": 4, "bptt": 6}
    settings |= {"variable_bptt": False, "seeds": [1], "dtype": torch.float32, "machine": machine()}
    return LanguageModel(model=model_of(model or SMALL), **settings | changed)


def of_own(text: Path) -> list[str]:
    """A run on this text that takes a fraction of a second."""
    return [
        "dataset=ptb", f"dataset.text_file={text}", "model=lstm", "model.width=4", "dataset.bptt=6",
        "dataset.batch_size=4", "precision=float32", "tracker=none", f"results_dir={text.parent}",
    ]  # fmt: skip


def rates_of(
    command: list[str], monkeypatch: pytest.MonkeyPatch, cost: float | None = None
) -> tuple[list[float], RunResult]:
    """The learning rate of every step of a run, whose scores are all `cost` if that is given."""
    rates: list[float] = []
    step = Trainer.take_step

    def seen(trainer: Trainer) -> None:
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        if cost is not None:
            trainer._cost = lambda: cost
        step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "take_step", seen)
        return rates, run(command)


def states(of: LanguageModel) -> list[Tensor]:
    return list(of.state_dict()["state"])


def same(these: list[Tensor], those: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(these, those, strict=True))


# ------------------------------------------------------------------------------------------------------------ stream


def test_an_epoch_goes_through_every_column_from_end_to_end(text: Path) -> None:
    made = task(text)
    stream = made.corpus.train
    height = len(stream) // 4
    columns = stream[: 4 * height].view(4, height).t()
    draws = math.ceil((height - 1) / 6)
    batches = [made.batch(draw) for draw in range(2 * draws)]
    for epoch in (batches[:draws], batches[draws:]):
        assert torch.equal(torch.cat([batch.words for batch in epoch]), columns[:-1])
        assert torch.equal(torch.cat([batch.targets for batch in epoch]), columns[1:])
        assert [batch.first for batch in epoch] == [True] + [False] * (draws - 1)
    assert (made.epoch(0), made.epoch(draws), made.epoch(2 * draws)) == (0, 1, 2)
    assert made.samples(1) == 24
    assert made.samples(draws) == 4 * (height - 1)
    assert made.rate(1) == 1.0


def test_lengths_that_vary_are_a_function_of_seed_and_epoch() -> None:
    windows, again, other = Windows(5000, 70, True, 1), Windows(5000, 70, True, 1), Windows(5000, 70, True, 2)
    places = [windows.at(draw) for draw in range(300)]
    assert [again.at(draw) for draw in reversed(range(300))] == places[::-1]
    assert [other.at(draw) for draw in range(300)] != places
    whole = [(a, b, c) for a, b, c in places if a < places[-1][0]]
    lengths = [c - b for _, b, c in whole if c < 5000]
    assert 5 <= min(lengths) < 50
    assert sum(lengths) / len(lengths) == pytest.approx(68, abs=3)  # 0.95 * 70 + 0.05 * 35
    for epoch in range(places[-1][0]):
        edges = [(b, c) for a, b, c in whole if a == epoch]
        assert (edges[0][0], edges[-1][1]) == (0, 5000)
        assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))
    first = [c - b for a, b, c in places if a == 0]
    assert first != [c - b for a, b, c in places if a == 1][: len(first)]


def test_the_rate_follows_the_length(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [*of_own(text)[:4], "dataset.bptt=20", "dataset.variable_bptt=true", "dataset.batch_size=2", "max_steps=9"]
    own += ["optimizer=sgd", "optimizer.lr=2", "schedule=constant", *of_own(text)[6:]]
    rates, result = rates_of(own, monkeypatch)
    made = task(text, bptt=20, batch_size=2, variable_bptt=True)
    lengths = [end - start for _, start, end in map(made.windows.at, range(9))]
    assert len(set(lengths)) > 3
    assert rates == pytest.approx([2 * length / 20 for length in lengths])
    assert rows(result.path)[-1]["samples"] == made.samples(9) == 2 * sum(lengths)


def test_too_many_columns_and_no_text(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.batch_size=2000: at most \d+, half"):
        task(text, batch_size=2000)
    (tmp_path / "bad").write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="is not UTF-8"):
        task(tmp_path / "bad")


# ------------------------------------------------------------------------------------------------- state of the draw


def by_hand(made: LanguageModel, draw: int, state: list[Tensor]) -> list[Tensor]:
    return [tensor.detach() for tensor in made.network(made.batch(draw).words, state)[1]]


def test_the_state_moves_with_the_draw_and_in_its_first_evaluation_only(text: Path) -> None:
    made = task(text)
    begin = made.network.initial_state(4)
    after = by_hand(made, 0, begin)
    batch = made.batch(0)
    first = made.losses(batch, everyone(made, 0))["model"]
    assert same(states(made), after)
    assert not any(tensor.requires_grad for tensor in states(made))
    call = everyone(made, 0, first=False)._replace(fresh=False)
    assert torch.equal(made.losses(batch, call)["model"], first)
    assert same(states(made), after)  # a second evaluation begins where the first one did, and moves nothing
    made.losses(made.batch(1), everyone(made, 1))
    assert same(states(made), by_hand(made, 1, after))


def test_an_epoch_begins_with_zeros(text: Path) -> None:
    made = task(text)
    draw = next(draw for draw in range(1, 1000) if made.batch(draw).first)
    for d in range(draw):
        made.losses(made.batch(d), everyone(made, d))
    assert any(tensor.any() for tensor in states(made))
    made.losses(made.batch(draw), everyone(made, draw))
    assert same(states(made), by_hand(made, draw, made.network.initial_state(4)))


@pytest.mark.parametrize("resample", ["step", "call"])
def test_extragradient_leaves_the_state_right(text: Path, resample: str) -> None:
    """resample=step: carried from the anchor; call: from every evaluation's own point."""
    made, twin = task(text), task(text)
    parameters, copied = made.players["model"], twin.players["model"]
    optimizer = ProximalPoint(torch.optim.SGD(parameters, lr=0.5), inner=2)
    oracle = Oracle(made, seed=1, resample=resample, clip_norm=None, autocast=None)
    state, draw = made.network.initial_state(4), 0

    def gradients(draw: int, state: list[Tensor]) -> list[Tensor]:
        batch = twin.batch(draw)
        features, _, _ = twin.network(batch.words, state)
        loss = F.cross_entropy(twin.network.decoder(features).flatten(0, 1), batch.targets.flatten())
        return list(torch.autograd.grad(loss, copied))

    for _ in range(3):
        oracle.begin_step()
        optimizer.step(oracle)
        anchor = [p.detach().clone() for p in copied]
        begins = state
        state = by_hand(twin, draw, begins)
        first = gradients(draw, begins)
        with torch.no_grad():
            for p, g in zip(copied, first, strict=True):
                p.sub_(g, alpha=0.5)
        if resample == "call":
            draw += 1
            begins, state = state, by_hand(twin, draw, state)
        second = gradients(draw, begins)
        with torch.no_grad():
            for p, z, g in zip(copied, anchor, second, strict=True):
                p.copy_(z - 0.5 * g)
        draw += 1
        for mine, theirs in zip([*states(made), *parameters], [*state, *copied], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert oracle.draws == draw


def test_a_sync_leaves_the_state_as_it_is(text: Path) -> None:
    """It is carried from the fast weights."""
    made = task(text)
    optimizer = Lookahead(torch.optim.SGD(made.players["model"], lr=5.0), k=1, alpha=0.5)
    oracle = Oracle(made, seed=1, resample="step", clip_norm=None, autocast=None)
    expected = by_hand(made, 0, made.network.initial_state(4))
    oracle.begin_step()
    optimizer.step(oracle)
    assert same(states(made), expected)  # from the weights before the step, where the batch was evaluated
    expected = by_hand(made, 1, expected)  # the next one from the synced weights
    oracle.begin_step()
    optimizer.step(oracle)
    assert same(states(made), expected)


# ------------------------------------------------------------------------------------------------------------ scores


@pytest.mark.parametrize("model", [SMALL, AWD | {"width": 12, "embedding": 8}], ids=["lstm", "awd_lstm"])
def test_scores_are_those_of_one_long_pass_with_nothing_dropped(
    text: Path, model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCORED_AT_ONCE", 7)
    made = task(text, model)
    made.losses(made.batch(0), everyone(made, 0))
    before = states(made)
    found = dict(made.evaluate(1))
    assert list(found) == ["val", "test"]
    made.networks["model"].eval()
    for split, words in (("val", made.corpus.val), ("test", made.corpus.test)):
        with torch.no_grad():
            features, _, _ = made.network(words[:-1, None], made.network.initial_state(1))
            loss = F.cross_entropy(made.network.decoder(features[:, 0]), words[1:])
        assert found[split]["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
        assert found[split]["perplexity"].item() == pytest.approx(math.exp(loss.item()), rel=1e-4)
    assert same(states(made), before)  # scoring moves nothing


# ------------------------------------------------------------------------------------------------------------ models


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_by_hand() -> None:
    small = {"layers": 2, "width": 200, "dropout": 0.0, "initial": 0.1}
    recurrent = 2 * (4 * 200 * (200 + 200) + 2 * 4 * 200)
    assert count(LSTM(10_000, tied=False, **small)) == 2 * 10_000 * 200 + 10_000 + recurrent  # type: ignore[arg-type]
    assert count(LSTM(10_000, tied=True, **small)) == 10_000 * 200 + 10_000 + recurrent  # type: ignore[arg-type]
    with torch.device("meta"):
        published = model_of(AWD)(vocabulary=10_000)
        untied = model_of(AWD | {"tied": False})(vocabulary=10_000)
    layers = [(400, 1150), (1150, 1150), (1150, 400)]
    expected = 10_000 * 400 + 10_000 + sum(4 * h * (i + h) + 8 * h for i, h in layers)
    assert count(published) == expected == 24_221_600
    layers[-1] = (1150, 1150)
    assert count(untied) == 10_000 * 400 + 10_000 * 1151 + sum(4 * h * (i + h) + 8 * h for i, h in layers)


def test_awd_layers_are_torchs_lstm() -> None:
    network = model_of(AWD | {"layers": 1, "width": 5, "embedding": 5})(vocabulary=9).eval()
    assert isinstance(network, AWDLSTM)
    torchs = torch.nn.LSTM(5, 5).eval()
    own = dict(network.layers[0].named_parameters())
    torchs.load_state_dict({f"{name}_l0": p for name, p in own.items()})
    words = torch.arange(8).view(4, 2)
    features, (hidden, cell), _ = network(words, network.initial_state(2))
    expected, after = torchs(network.embedding(words))
    assert same([features, hidden, cell], [expected, *after])


def test_dropped_weights_and_words_and_locked_masks() -> None:
    torch.manual_seed(0)
    ones = locked_dropout(torch.ones(6, 3, 50), 0.4, training=True)
    assert torch.equal(ones, ones[:1].expand_as(ones))  # one mask for all positions
    assert not torch.equal(ones[0, 0], ones[0, 1])  # not for all columns
    assert ones.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert locked_dropout(ones, 0.4, training=False) is ones
    off = {key: 0.0 for key in AWD if key.endswith(("_dropout", "_drop", "_penalty"))}
    network = model_of(AWD | off | {"width": 6, "embedding": 6, "word_drop": 0.5})(vocabulary=40)
    words = torch.arange(40).repeat(2).view(20, 4)
    embedded = network._embedded(words).flatten(0, 1)
    gone = (embedded == 0).all(1)
    assert torch.equal(gone[:40], gone[40:])  # wherever the word stands
    assert 5 < gone[:40].sum() < 35
    torch.testing.assert_close(embedded[~gone], 2 * network.embedding(words).flatten(0, 1)[~gone])
    dropped = model_of(AWD | off | {"layers": 1, "width": 6, "embedding": 6, "weight_drop": 0.5})(vocabulary=40)
    features, _, penalty = dropped(words[:1], dropped.initial_state(4))
    assert penalty == 0
    plain, _, _ = dropped.eval()(words[:1], dropped.initial_state(4))
    torch.testing.assert_close(features, plain)  # from a state of zeros the recurrent weights have no part
    dropped.train()
    state = [torch.ones_like(t) for t in dropped.initial_state(4)]
    twice = [dropped(words[:1], state)[0] for _ in range(2)]
    assert not torch.equal(*twice)
    twice[0].sum().backward()
    assert 0 < (dropped.layers[0].weight_hh.grad == 0).float().mean() < 1  # a dropped weight has no gradient


def test_both_models_train_in_bfloat16() -> None:
    for model in (SMALL, AWD | {"width": 12, "embedding": 8}):
        network = model_of(model)(vocabulary=40)
        words, targets = torch.arange(40).view(10, 4), torch.arange(40)
        state = network.initial_state(4)
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                features, state, penalty = network(words, [tensor.detach() for tensor in state])
                decoder = network.decoder
                loss = head.cross_entropy(features.flatten(0, 1), decoder.weight, decoder.bias, targets) + penalty
            loss.backward()
        assert loss.dtype == torch.float32
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_penalties_by_hand() -> None:
    off = {key: 0.0 for key in AWD if key.endswith(("_dropout", "_drop"))}
    network = model_of(AWD | off | {"width": 6, "embedding": 6})(vocabulary=40)
    features, _, penalty = network(torch.arange(12).view(4, 3), network.initial_state(3))
    change = (features[1:] - features[:-1]).square().mean()
    torch.testing.assert_close(penalty, 2 * features.square().mean() + change)
    features, _, penalty = network(torch.arange(3).view(1, 3), network.initial_state(3))
    torch.testing.assert_close(penalty, 2 * features.square().mean())  # one position has no change


# -------------------------------------------------------------------------------------------------------------- head


def head_inputs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    features, weight, bias = (torch.randn(*shape, dtype=dtype) for shape in ((50, 16), (300, 16), (300,)))
    return features.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), torch.randint(300, (50,))


def both(dtype: torch.dtype, precision: torch.dtype | None) -> list[list[Tensor]]:
    """Loss and gradients of the head, and of torch's own."""
    found = []
    torchs: Callable[..., Tensor] = lambda f, w, b, t: F.cross_entropy(F.linear(f, w, b).to(dtype), t)  # noqa: E731
    for one in (head.cross_entropy, torchs):
        *inputs, targets = head_inputs(dtype)
        with torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=precision is not None):
            loss = one(*inputs, targets)
        (3 * loss).backward()
        found.append([loss.detach(), *(p.grad for p in inputs if p.grad is not None)])
    return found


@pytest.mark.parametrize("at_once", [1, 300 * 7, 1 << 21])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_head_is_linear_and_cross_entropy(
    at_once: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(head.LOGITS_AT_ONCE, "cpu", at_once)
    for mine, theirs in zip(*both(dtype, None), strict=True):
        torch.testing.assert_close(mine, theirs)
    features, weight, bias, targets = head_inputs(dtype)
    torch.testing.assert_close(head.token_losses(features, weight, bias, targets).mean(), both(dtype, None)[1][0])


def test_in_bfloat16_the_head_is_so_up_to_rounding() -> None:
    mine, theirs = both(torch.float32, torch.bfloat16)
    exact = both(torch.float32, None)[1]
    for one, other, true in zip(mine, theirs, exact, strict=True):
        assert one.dtype == true.dtype
        assert (one - true).norm() <= max(1.5 * (other - true).norm(), 0.01 * true.norm())


def test_the_head_far_from_the_target_and_not_finite() -> None:
    features = torch.tensor([[1000.0], [-1000.0], [math.inf]]).requires_grad_()
    weight, bias = torch.tensor([[1.0], [-1.0]]), torch.zeros(2)
    loss = head.cross_entropy(features[:2], weight, bias, torch.tensor([1, 1]))
    assert loss == 1000.0
    assert not head.cross_entropy(features, weight, bias, torch.tensor([0, 0, 0])).isfinite()


# -------------------------------------------------------------------------------------------------------------- runs


def test_pydoc_is_learnt(tmp_path: Path) -> None:
    result = run([
        "dataset=pydoc_lm", "optimizer=lookahead", "dataset.vocabulary=300", "model.width=32", "max_steps=60",
        "evaluate_every=null", "tracker=none", f"results_dir={tmp_path}",
    ])  # fmt: skip
    scores = [row["perplexity"] for row in rows(result.path) if row["split"] == "val" and row["weights"] == "slow"]
    assert scores[0] == pytest.approx(300, rel=0.1)  # knows nothing
    assert scores[-1] < 150
    train = [row for row in rows(result.path) if row["split"] == "train"]
    assert all(math.log(row["perplexity"]) == pytest.approx(row["loss"], rel=1e-5) for row in train)
    assert result.best is not None
    assert result.best["metric"] == "perplexity"


@pytest.mark.parametrize("optimizer", ["lookahead", "extragradient"])
def test_resumed_in_an_epoch_with_dropout_and_plateau_it_goes_on_bit_for_bit(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    command = [*of_own(text), f"optimizer={optimizer}", "optimizer.lr=100", "model.dropout=0.3", "max_steps=24"]
    command += ["evaluate_every=2steps", "schedule=plateau", "schedule.patience=1"]
    whole = run([*command, f"results_dir={tmp_path / 'whole'}"])
    monkeypatch.setenv("LOOKAHEAD_BENCH_CHECKPOINT_SECONDS", "0")
    step = Trainer.take_step

    def cut(trainer: Trainer) -> None:
        if trainer.step == 13:
            raise RuntimeError("power cut")
        step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "take_step", cut)
        with pytest.raises(RuntimeError, match="power cut"):
            run([*command, f"results_dir={tmp_path / 'cut'}"])
    resumed = run([*command, f"results_dir={tmp_path / 'cut'}"])
    assert_same_run(resumed, whole)
    found, expected = (final_state(one.path)["schedule"] for one in (resumed, whole))
    assert found == expected
    assert found["plateaus"] > 0


def test_a_plateau_is_told_in_a_run_and_the_next_step_has_the_new_rate(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*of_own(text), "optimizer=sgd", "optimizer.lr=8", "schedule=plateau", "schedule.patience=2"]
    rates, _ = rates_of(
        [*command, "max_steps=7", "evaluate_every=1steps"], monkeypatch, cost=1.0
    )  # one gain, the first
    assert rates == [8, 8, 8, 4, 4, 2, 2]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    place = f"results_dir={tmp_path}"
    for line, message in {
        "dataset=pydoc_lm schedule=plateau evaluate_every=null": "watches the scores in between",
        "dataset=digits schedule=plateau replicas=2": "watches the score, and every run has one of its own",
        "dataset=pydoc_lm replicas=2": "cannot be batched over runs",
        "dataset=pydoc_lm model=mlp": "is no network for dataset=pydoc_lm, which makes them of vocabulary",
        "dataset=ptb dataset.text_file=/no/such": r"dataset\.text_file=/no/such: is no file",
        "dataset=digits model=lstm": "is no network for dataset=digits",
    }.items():
        with pytest.raises(ConfigError, match=message):
            run([*line.split(), "tracker=none", place])


def test_another_text_at_the_same_place_is_another_run(text: Path) -> None:
    first = configuration.load(of_own(text)).run_id
    assert configuration.load(of_own(text)).run_id == first
    text.write_text(text.read_text() + " and more")
    assert configuration.load(of_own(text)).run_id != first
    assert "text_sha256" not in configuration.load(["dataset=ptb"]).scientific

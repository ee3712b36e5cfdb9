"""build_optimizer and the classes that it loads: what fills what, and one line for every refusal."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from optim_problems import Net, node
from torch.optim import SGD, Adam

from lookahead_bench.build import build_optimizer
from lookahead_bench.configuration import targets
from lookahead_bench.errors import ConfigError
from lookahead_bench.optim import Alternating, Ball, Box, Lookahead, Projected
from lookahead_bench.optim.wrapper import chain

PLAYERS = Net().players


def make(plain: dict[str, Any], **keywords: Any) -> list[Any]:
    return list(chain(build_optimizer(plain, PLAYERS, **keywords)))


def kinds(built: list[Any]) -> list[str]:
    return [type(o).__name__ for o in built]


class TestFilling:
    def test_from_the_top_level(self) -> None:
        lookahead, base = make(node("lookahead", lr=0.3, k=7, alpha=0.25, pullback="reset", momentum=0.8))
        assert (lookahead.k, lookahead.alpha, lookahead.pullback) == (7, 0.25, "reset")
        assert [(g["player"], g["lr"], g["momentum"], g["weight_decay"]) for g in base.param_groups] == [
            ("x", 0.3, 0.8, 5e-4),
            ("y", 0.3, 0.8, 5e-4),
        ]

    def test_the_datasets_values_are_defaults(self) -> None:
        dataset = {"about": {"optimizer": {"lr": 0.7, "momentum": 0.0, "adam_lr": 3e-4, "betas": [0, 0.9]}}}
        _, base = make(node("lookahead", dataset))
        assert (base.defaults["lr"], base.defaults["momentum"]) == (0.7, 0.0)
        _, base = make(node("lookahead_adam", dataset))
        assert base.defaults["lr"] == 3e-4
        assert base.defaults["betas"] == (0.0, 0.9)
        assert isinstance(base.defaults["betas"][0], float)

    def test_integers_become_floats(self) -> None:
        (base,) = make(node("adam", lr=1, betas=[0, 0.9], weight_decay=0))
        assert (base.defaults["lr"], base.defaults["betas"]) == (1.0, (0.0, 0.9))
        assert all(isinstance(v, float) for v in (base.defaults["lr"], *base.defaults["betas"]))

    def test_omegaconf_nodes_leave_no_trace(self) -> None:
        config = OmegaConf.create(node("lookahead_adam", betas=[0.5, 0.9]))
        optimizer = build_optimizer(config, PLAYERS)
        assert type(optimizer.param_groups[0]["betas"]) is tuple
        plain = node("alt_gda", order=[["y"], ["x"]])
        alternating, _ = chain(build_optimizer(OmegaConf.create(plain), PLAYERS))
        assert isinstance(alternating, Alternating)
        assert type(alternating.order) is type(alternating.order[0]) is list

    def test_what_stands_in_the_nodes_wins(self) -> None:
        plain = node("lookahead")
        plain["base"]["lr"] = 0.9
        plain["wrappers"][0]["k"] = 2
        lookahead, base = make(plain)
        assert (lookahead.k, base.defaults["lr"]) == (2, 0.9)

    def test_null_is_the_classs_default(self) -> None:
        (base,) = make(node("sgd", momentum=None))
        assert base.defaults["momentum"] == 0

    def test_players(self) -> None:
        built = make(node("adam", lr={"x": 1, "y": 0.1}, betas={"x": [0, 0.9], "y": [0.5, 0.9]}))[0]
        assert [(g["lr"], g["betas"]) for g in built.param_groups] == [(1.0, (0.0, 0.9)), (0.1, (0.5, 0.9))]

    def test_a_class_that_demands_a_learning_rate(self) -> None:
        pytest.importorskip("pytorch_optimizer", exc_type=ImportError)
        plain = node("lookahead_adam", lr={"x": 1e-3, "y": 2e-3})
        plain["base"] = {"_target_": "pytorch_optimizer.Lion"}
        _, lion = make(plain)
        assert [g["lr"] for g in lion.param_groups] == [1e-3, 2e-3]
        net = Net()
        optimizer = build_optimizer(plain, net.players)
        for _ in range(6):
            optimizer.step(net)

    def test_a_key_of_a_wrapper_is_not_the_bases(self) -> None:
        plain = node("lookahead", alpha=0.5)
        plain["base"] = {"_target_": "torch.optim.RMSprop"}
        lookahead, base = make(plain)
        assert lookahead.alpha == 0.5
        assert base.defaults["alpha"] == 0.99

    def test_a_default_that_nothing_takes_is_left_out_with_a_notice(self, caplog: pytest.LogCaptureFixture) -> None:
        plain = node("lookahead")
        plain["base"] = {"_target_": "torch.optim.Adam"}
        with caplog.at_level(logging.INFO, "lookahead_bench"):
            _, base = make(plain)
        assert isinstance(base, Adam)
        (record,) = caplog.records
        assert record.getMessage() == "optimizer.momentum=0.9 is left out: torch.optim.Adam has no argument 'momentum'"

    def test_what_the_user_set_is_refused(self) -> None:
        plain = node("lookahead")
        plain["base"] = {"_target_": "torch.optim.Adam"}
        with pytest.raises(ConfigError, match=r"optimizer\.momentum=0\.9: torch\.optim\.Adam has no argument"):
            make(plain, user_keys={"momentum", "k"})

    def test_fused(self) -> None:
        assert make(node("sgd"), fused=True)[0].defaults["fused"] is True
        assert make(node("sgd"))[0].defaults["fused"] is None
        assert "fused" not in make(node("radam"), fused=True)[0].defaults


class TestLayers:
    def test_lists_make_layers_innermost_first(self) -> None:
        outer, inner, base = make(node("multilayer", k=[2, 3], alpha=[0.5, 0.8], outer_momentum=0.1))
        assert [(o.k, o.alpha, o.outer_momentum) for o in (inner, outer)] == [(2, 0.5, 0.1), (3, 0.8, 0.1)]
        assert outer.period == 6
        assert isinstance(base, SGD)

    def test_as_many_as_the_lists_are_long(self) -> None:
        assert len(make(node("multilayer", k=[2, 2, 2, 2], alpha=0.5))) == 5
        assert len(make(node("lookahead", k=[4]))) == 2
        assert len(make(node("lookahead", pullback=["none", "reset"]))) == 3

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"k": [5, 5], "alpha": [0.5]}, r"optimizer\.k=\[5, 5\], optimizer\.alpha=\[0\.5\]: lists must be of one"),
            ({"k": []}, "must be of one length, the number of layers, and not empty"),
            ({"k": [5, 0]}, "k must be an integer >= 1, got 0"),
        ],
    )
    def test_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            make(node("multilayer", **values))


class TestGames:
    def test_order(self) -> None:
        given = [["y"], ["y"], ["x"]]
        assert make(node("alt_gda"), order=given)[0].order == given
        assert make(node("alt_gda"))[0].order == [["x"], ["y"]]
        assert make(node("alt_gda", order=[["x", "y"]]), order=given)[0].order == [["x", "y"]]

    def test_one_player(self) -> None:
        net = Net()
        optimizer = build_optimizer(node("lookahead_minmax"), {"model": list(net.model.parameters())})
        optimizer.step(lambda players: net())

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("sgd", ["Projected", "SGD"]),
            ("la_gda", ["Lookahead", "Projected", "SGD"]),
            ("extragradient", ["Projected", "ProximalPoint", "SGD"]),
            ("la_eg", ["Lookahead", "Projected", "ProximalPoint", "SGD"]),
            ("past_extragradient", ["PastExtragradient", "Projected", "SGD"]),
            ("lookahead_minmax", ["Lookahead", "Alternating", "Projected", "Adam"]),
            ("polyak", ["Averaged", "Projected", "SGD"]),
        ],
    )
    def test_where_a_constraint_goes(self, name: str, expected: list[str]) -> None:
        built = make(node(name), constraint=Box(-1, 1))
        assert kinds(built) == expected
        assert kinds(make(node(name))) == [kind for kind in expected if kind != "Projected"]

    def test_an_explicit_projection_is_filled(self) -> None:
        plain = node("extragradient")
        projected = {"_target_": "lookahead_bench.optim.Projected"}
        plain["wrappers"] = [projected, *plain["wrappers"]]
        ball = Ball(1.0)
        built = make(plain, constraint=ball)
        assert kinds(built) == ["ProximalPoint", "Projected", "SGD"]
        assert isinstance(built[1], Projected)
        assert built[1].constraint is ball
        with pytest.raises(ConfigError, match="the task has no constraint"):
            make(plain)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"_target_": "os.system"}, r"optimizer\.base\._target_=os\.system: may not be in the standard library"),
        ({"_target_": "builtins.eval"}, "the standard library"),
        ({"_target_": "logging.os.system"}, "the standard library"),
        ({"_target_": "torch.hub.load"}, r"only torch\.optim may be used of torch"),
        ({"_target_": "torch.optim"}, r"only torch\.optim may be used of torch"),
        ({"_target_": "torch.optim.Adamm"}, r"torch\.optim has no 'Adamm'; did you mean 'Adam'\?"),
        ({"_target_": "torch.optim.lr_scheduler.StepLR"}, "is no subclass of torch.optim.Optimizer"),
        ({"_target_": "torch.optim.Optimizer"}, "is no subclass"),
        ({"_target_": "torch.optim.adam.torch.hub.load"}, "there is no module 'torch.optim.adam.torch'"),
        ({"_target_": "no_such_package.Adam"}, "there is no module 'no_such_package'; install it"),
        ({"_target_": "Adam"}, "must be the dotted path of a class"),
        ({"_target_": 3}, "must be the dotted path of a class"),
        ({"_target_": "torch.optim.SGD()"}, "must be the dotted path of a class"),
        ({}, "must be a mapping with a _target_"),
        (None, "must be a mapping with a _target_"),
        ({"_target_": "lookahead_bench.optim.Lookahead"}, "it belongs into optimizer.wrappers"),
        (
            {"_target_": "torch.optim.SGD", "nestrov": True},
            r"optimizer\.base\.nestrov=True: SGD has no argument 'nestrov'; did you mean 'nesterov'\?",
        ),
        ({"_target_": "torch.optim.SGD", "nesterov": True, "momentum": 0}, "SGD.*Nesterov momentum requires"),
        ({"_target_": "torch.optim.SGD", "lr": -1}, "SGD.*Invalid learning rate"),
        ({"_target_": "torch.optim.SGD", "lr": {"x": 1.0}}, r"base\.lr=.*one value for each player \(x, y\)"),
        ({"_target_": "torch.optim.Adam", "betas": [0.9]}, r"betas=\[0\.9\]: must have 2 values"),
        ({"_target_": "torch.optim.Adam", "eps": "small"}, "eps=small: must be a number"),
        ({"_target_": "torch.optim.LBFGS"}, "per-parameter options"),
    ],
)
def test_refused_bases(base: Any, message: str) -> None:
    plain = node("sgd")
    plain["base"] = base
    with pytest.raises(ConfigError, match=message) as error:
        make(plain)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        ({"_target_": "torch.optim.SGD"}, r"optimizer\.wrappers\[0\]\._target_=torch\.optim\.SGD: is no wrapper"),
        ({"_target_": "lookahead_bench.optim.Lokahead"}, "did you mean 'Lookahead'"),
        ({"_target_": "lookahead_bench.optim.Lookahead", "steps": 3}, "Lookahead has no argument 'steps'"),
        ({"_target_": "lookahead_bench.optim.Lookahead", "k": 2.5}, "k must be an integer >= 1, got 2.5"),
    ],
)
def test_refused_wrappers(wrapper: Any, message: str) -> None:
    plain = node("sgd")
    plain["wrappers"] = [wrapper]
    with pytest.raises(ConfigError, match=message):
        make(plain)


def test_a_broken_order_of_composition_is_one_line() -> None:
    plain = node("la_eg")
    plain["wrappers"].reverse()
    with pytest.raises(ConfigError, match="Lookahead cannot stand inside ProximalPoint"):
        make(plain)


def test_names_are_judged_without_importing_anything() -> None:
    script = (
        "import sys\n"
        "from lookahead_bench.configuration import targets\n"
        "from lookahead_bench.errors import ConfigError\n"
        "for path in ('antigravity.fly', 'torch.hub.load', 'pandas.read_pickle', 'joblib.load'):\n"
        "    for judge in (targets.check_target, targets.load):\n"
        "        try: judge('key', path, targets.OPTIMIZER)\n"
        "        except ConfigError: pass\n"
        "        else: raise SystemExit(path)\n"
        "assert not {'torch', 'antigravity', 'pandas', 'joblib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_modules_that_fail_to_import(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, code, message in [
        ("lb_test_raises", "raise OSError('no\\nlibrary')", "failed: OSError: no library"),
        ("lb_test_exits", "raise SystemExit(3)", "failed: SystemExit: 3"),
        ("lb_test_lacks", "import lb_test_nowhere", "failed: ModuleNotFoundError"),
    ]:
        (tmp_path / f"{name}.py").write_text(code)
        with pytest.raises(ConfigError, match=message):
            targets.load("key", f"{name}.Adam", targets.OPTIMIZER)


def test_optimizer_arguments() -> None:
    takes = targets.arguments("key", "torch.optim.SGD", targets.OPTIMIZER)
    assert takes is not None
    assert {"lr", "momentum", "nesterov"} <= takes
    assert targets.load("key", "lookahead_bench.optim.Lookahead", targets.WRAPPER) is Lookahead
    assert torch.optim.Adam is targets.load("key", "torch.optim.adam.Adam", targets.OPTIMIZER)

"""At scale=paper every paper's study resolves to what papers.yaml holds of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lookahead_bench.configuration import Config, every_job
from lookahead_bench.configuration.compose import jobs, loader
from lookahead_bench.configuration.files import CONF, options

PAPERS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("papers.yaml").read_text())
OWN = (
    "cifar/",
    "digits/",
    "gan/",
    "search/",
    "small/",
    "theory/",
    "lookahead/ptb_rates",
    "lookahead/ablation_",
    "lookahead/robustness_",
    "lookahead_minmax/fig_bilinear",
    "radam/",
)  # no paper's table: smaller, exact, a grid for the processor, or the table's own settings with one of them swept


@cache
def planned(study: str) -> list[Config]:
    composing = loader()
    found = jobs([f"experiment={study}", "scale=paper"], composing)
    assert found is not None
    return list(every_job(found, composing))


def number(value: Any) -> Any:
    """YAML has 1e-3 as a text; 1 and 1.0 are one number."""
    if isinstance(value, Mapping):
        return {key: number(one) for key, one in value.items()}
    if isinstance(value, list):
        return [number(one) for one in value]
    try:
        return value if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return value


def at(config: Config, key: str) -> Any:
    value: Any = config.nodes
    for part in key.split("."):
        value = value[part]
    return number(value)


def classes(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's keys, with `base` and `wrappers` by the names of their classes."""
    name = {one["_target_"]: one["_target_"].rpartition(".")[2] for one in [optimizer["base"], *optimizer["wrappers"]]}
    wrappers = [name[one["_target_"]] for one in optimizer["wrappers"]]
    return number({**optimizer, "base": name[optimizer["base"]["_target_"]], "wrappers": wrappers})


def test_every_paper_s_study_is_there() -> None:
    assert sorted(PAPERS) == sorted(one for one in options("experiment") if not one.startswith(OWN))


@pytest.mark.parametrize("study", PAPERS)
def test_what_all_methods_of_a_study_share(study: str) -> None:
    expected = number(PAPERS[study]["every"])
    for config in planned(study):
        assert {key: at(config, key) for key in expected} == expected, config["optimizer"]["name"]


@pytest.mark.parametrize("study", PAPERS)
def test_every_method_of_a_study(study: str) -> None:
    expected = number(PAPERS[study]["methods"])
    found = {config["optimizer"]["name"]: classes(config["optimizer"]) for config in planned(study)}
    assert list(found) == list(expected)
    for name, node in expected.items():
        assert {key: found[name].get(key, "not there") for key in node} == node, name
    seeds = {name: [c["seed"] for c in planned(study) if c["optimizer"]["name"] == name] for name in found}
    assert seeds == {name: list(range(1, PAPERS[study]["seeds"] + 1)) for name in found}


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_multilayer_is_lookahead_beside_it_but_for_the_layers(dataset: str) -> None:
    one, two = (
        next(c["optimizer"] for c in planned(f"multilayer/table_{dataset}") if c["optimizer"]["name"] == name)
        for name in ("lookahead", "multilayer")
    )
    layered = ("k", "alpha", "pullback", "outer_momentum")
    assert {k: v for k, v in two.items() if k in layered} == {k: [one[k]] * 2 for k in layered}
    apart = (*layered, "name", "about")
    assert {k: v for k, v in two.items() if k not in apart} == {k: v for k, v in one.items() if k not in apart}


@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_settings_of_a_paper_are_its_own(scale: str) -> None:
    """What is tuned for a paper's table is read at scale=paper only."""
    names = {path.stem for path in (CONF / "tuned" / "cifar10" / "paper").glob("*.yaml")}
    assert {"sgd", "polyak", "adamw", "lookahead", "multilayer"} <= names
    found = next(c for c in every_job([["dataset=cifar10", "optimizer=polyak", f"scale={scale}"]]))
    assert (found["optimizer"]["start"] > 0) is (scale == "paper")

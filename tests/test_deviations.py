"""Every switch that docs/deviations.md names is one: its names are files of conf/, its keys are theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "deviations.md").read_text()
SWITCHES = sorted({words for words in re.findall(r"`([^`]+)`", TEXT) if "=" in words})


def node(path: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "conf" / path).read_text()) or {}


def test_every_switch_is_one() -> None:
    assert len(SWITCHES) > 20
    for words in SWITCHES:
        values = dict(word.split("=", 1) for word in words.split())
        for key in values:
            group, _, rest = key.partition(".")
            if not rest:
                assert key in node("config.yaml") or (ROOT / "conf" / key / f"{values[key]}.yaml").exists(), words
            elif not rest.startswith("base."):
                assert rest in node(f"{group}/{values[group]}.yaml"), words


def test_what_is_said_of_defaults_is_so() -> None:
    assert node("tuned/cifar10/paper/sgd.yaml")["lr"] == 0.05
    assert node("optimizer/la_extra_adam.yaml")["relaxation"] == 1
    assert node("dataset/mnist_gan.yaml")["low"] == 0

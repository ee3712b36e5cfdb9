"""The rules that a configuration's values obey, as data: what the command line refuses, and what `list` prints."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A predicate on one value and the words for it."""

    text: str
    holds: Callable[[Any], bool]


def real(text: str, holds: Callable[[float], bool]) -> Rule:
    def check(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and holds(value)

    return Rule(f"a finite number {text}", check)


def integer(text: str, holds: Callable[[int], bool]) -> Rule:
    return Rule(f"an integer {text}", lambda v: isinstance(v, int) and not isinstance(v, bool) and holds(v))


def one_of(*names: str) -> Rule:
    return Rule("one of " + ", ".join(names), lambda v: v in names)


def nullable(rule: Rule) -> Rule:
    return Rule(f"null or {rule.text}", lambda v: v is None or rule.holds(v))


def sequence(rule: Rule, length: int | None = None) -> Rule:
    count = f"{length} " if length else ""
    return Rule(
        f"a list of {count}values, each {rule.text}",
        lambda v: isinstance(v, list) and length in (None, len(v)) and all(map(rule.holds, v)),
    )


boolean = Rule("true or false", lambda v: isinstance(v, bool))
text = Rule("a text that is not empty", lambda v: isinstance(v, str) and v != "")
name = Rule("letters, digits, _, - and .", lambda v: isinstance(v, str) and re.fullmatch(r"\w[\w.-]*", v) is not None)
positive_integer = integer(">= 1", lambda v: v >= 1)
momentum = real(">= 0 and < 1", lambda v: 0 <= v < 1)

RUN = {
    "seed": integer(">= 0 and < 2^32", lambda v: 0 <= v < 2**32),
    "epochs": nullable(positive_integer),
    "max_steps": nullable(positive_integer),
    "max_oracle_calls": nullable(real(">= 1", lambda v: v >= 1)),
    "precision": one_of("float32", "bfloat16", "float64"),
    "resample": one_of("step", "call"),
    "clip_norm": nullable(real("> 0", lambda v: v > 0)),
    "replicas": positive_integer,
    "data_dir": text,
    "results_dir": text,
    "force": boolean,
}

OPTIMIZER = {
    "lr": real("> 0", lambda v: v > 0),
    "momentum": momentum,
    "weight_decay": real(">= 0", lambda v: v >= 0),
    "betas": sequence(momentum, 2),
    "eps": real("> 0", lambda v: v > 0),
    "k": positive_integer,
    "alpha": real(">= 0 and <= 1", lambda v: 0 <= v <= 1),
    "pullback": one_of("none", "pullback", "reset"),
    "outer_momentum": momentum,
    "inner": positive_integer,
    "relaxation": real("> 0 and <= 1", lambda v: 0 < v <= 1),
    "memory": one_of("gradient", "step"),
    "decay": nullable(real(">= 0 and < 1", lambda v: 0 <= v < 1)),
}
BUDGETS = ("epochs", "max_steps", "max_oracle_calls")  # of several, the first one reached ends a run
PER_LAYER = ("k", "alpha", "pullback", "outer_momentum")  # a list means one value a layer, innermost first
PER_PLAYER = ("lr", "momentum", "weight_decay", "betas", "eps")  # a mapping means one value a player

DATASET = {
    "batch_size": positive_integer,
    "val_size": integer(">= 0", lambda v: v >= 0),
    "box": Rule("null or bounds such as [-1,1]", lambda v: v is None or isinstance(v, list)),
}
TASK = ("name", "players", "metric", "direction", "check")  # keys of a dataset's node that are facts, not settings

MODEL = {key: sequence(positive_integer) for key in ("hidden", "widths", "blocks")}

fraction = real(">= 0 and < 1", lambda v: 0 <= v < 1)
SCHEDULE = {
    "milestones": Rule(
        "a list of increasing fractions of the run, each > 0 and < 1",
        lambda v: isinstance(v, list) and all(fraction.holds(x) and x > 0 for x in v) and v == sorted(set(v)),
    ),
    "factor": real("> 0", lambda v: v > 0),
    "warmup": fraction,
    "span": real(">= 0", lambda v: v >= 0),
    "power": real(">= 0", lambda v: v >= 0),
}

TRACKER = {
    "project": text,
    "entity": nullable(text),
    "mode": one_of("auto", "online", "offline"),
}

GPU = {
    "device": Rule(
        "auto, cpu, cuda or cuda:N",
        lambda v: v in ("auto", "cpu", "cuda") or (isinstance(v, str) and v.startswith("cuda:") and v[5:].isdigit()),
    ),
    **{
        key: Rule("auto, true or false", lambda v: v == "auto" or isinstance(v, bool))
        for key in ("channels_last", "compile", "fused")
    },
    "threads": Rule("auto or an integer >= 1", lambda v: v == "auto" or positive_integer.holds(v)),
}

GROUPS = {"dataset": DATASET, "model": MODEL, "schedule": SCHEDULE, "tracker": TRACKER, "gpu": GPU}

# Keys of the nodes that describe or check; they change no number.
DESCRIPTIVE = {
    "optimizer": ("description", "equation", "source"),
    "dataset": ("description", "source", "scales", "optimizer", "check", "train_size", "metric", "direction", *BUDGETS,
                "precision", "resample", "clip_norm", "replicas", "equation"),
    "model": ("description", "batchnorm", "convolutional"),
    "schedule": ("description",),
}  # fmt: skip

# Where a wrapper may stand: each inside those of a lower level, those of level 0 in any order.
LEVEL = {"Averaged": 0, "Lookahead": 0, "Projected": 1, "ProximalPoint": 2, "PastExtragradient": 2, "Alternating": 3}

# Optimizers of torch whose update acts on every number by itself, so that replicas cannot mix.
ELEMENTWISE = (
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD",
)  # fmt: skip

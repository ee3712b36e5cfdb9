"""Which runs are of one problem, which are seeds of one setting of a method, and which setting validation chose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
import yaml

from lookahead_bench.configuration.files import CONF, GROUPS
from lookahead_bench.configuration.identity import EXECUTION, NEUTRAL, OWN
from lookahead_bench.report.search import is_only_trial

TASK = ("dataset", "scale", "model")  # runs of different scales never share a table
OF_METHOD = "optimizer."
OF_PROBLEM = ("dataset.", "model.", "schedule.")
NO_PROBLEM = {*EXECUTION, *GROUPS, "defaults", "hydra", "seed", "evaluate_every", "ema"}  # of the keys of config.yaml
NAMED_ALWAYS = ("lr", "k", "alpha")  # settings that a table names though nothing else was tried
SCORED = "final."


@dataclass(frozen=True)
class Setting:
    """One method with one choice of its settings, on one problem.

    values: the settings that differ between those that were tried, or that are always named
    runs: a line a seed, with the columns of `outcomes`
    """

    method: str
    values: Mapping[str, Any]
    runs: pd.DataFrame

    @cached_property
    def done(self) -> pd.DataFrame:
        return self.runs[self.runs["status"] == "done"]

    @cached_property
    def statuses(self) -> list[str]:
        return list(self.runs["status"])

    def count(self, status: str) -> int:
        return self.statuses.count(status)

    def scores(self, column: str, sign: int) -> dict[int, float]:
        """Of every seed that came to a result, more is better; -inf for a diverged one."""
        return {
            int(seed): -math.inf if status == "diverged" else sign * float(value)
            for seed, status, value in zip(self.runs["seed"], self.statuses, self.runs[column], strict=True)
            if status in ("done", "diverged")
        }

    def order(self, column: str, sign: int) -> tuple[bool, float, float]:
        """Less is better: whether nothing has ended, then the share of diverged seeds, then the mean of the others."""
        scores = self.scores(column, sign).values()
        done = [score for score in scores if score > -math.inf]
        return not done, 1 - len(done) / max(1, len(scores)), -math.fsum(done) / len(done) if done else math.inf

    def text(self, edges: Mapping[str, str] | None = None) -> str:
        """lr=0.1 k=5; edges: what to say of some of them."""
        return " ".join(f"{k}={shown(v)}{(edges or {}).get(k, '')}" for k, v in self.values.items())


@dataclass(frozen=True)
class Problem:
    """What the methods were compared on: the task, the scale, the model, and all else but method and seed.

    named: what of it differs from the other problems of the same table
    settings: of every method, in numeric order; tried: how many of each method, those of a search included
    split: what is reported; choosing: what a setting is chosen on
    """

    task: tuple[Any, ...]
    named: Mapping[str, Any]
    settings: Sequence[Setting]
    tried: Mapping[str, int]
    metric: str
    higher: bool
    split: str
    choosing: str

    @property
    def text(self) -> str:
        """rho=-0.1 epochs=5; empty where the table has no other problem."""
        named = {k.removeprefix("dataset.").removesuffix(".name"): v for k, v in self.named.items()}
        return " ".join(f"{k}={shown(v)}" for k, v in named.items() if not missing(v))

    @property
    def run_ids(self) -> list[str]:
        """Of the chosen settings."""
        return [str(run_id) for one in self.chosen for run_id in one.runs["run_id"]]

    @property
    def sign(self) -> int:
        return 1 if self.higher else -1

    @cached_property
    def chosen(self) -> list[Setting]:
        """One setting of each method, by the mean over seeds on the split for choosing; the best method first."""
        methods: dict[str, list[Setting]] = {}
        for one in self.settings:
            methods.setdefault(one.method, []).append(one)
        best = [self.best(tried) for tried in methods.values()]
        return sorted(best, key=lambda one: one.order("score", self.sign))

    def best(self, tried: Sequence[Setting]) -> Setting:
        """Of one method's settings, on the seeds that all of them have where there are any: a grid may have been tried
        on few seeds, and the chosen setting run on more."""
        same = self.on_common_seeds(tried)
        orders = [
            (*one.order("choosing", self.sign)[:2], of.order("choosing", self.sign)[-1])
            for one, of in zip(tried, same, strict=True)
        ]
        return tried[orders.index(min(orders))]

    def on_common_seeds(self, tried: Sequence[Setting]) -> list[Setting]:
        """The settings with those of their runs whose seeds all have; whole where that leaves nothing of one."""
        ended = [set(one.scores("choosing", self.sign)) for one in tried]
        common = set.intersection(*filter(None, ended)) if any(ended) else set()

        def same(one: Setting) -> Setting:
            of = replace(one, runs=one.runs[one.runs["seed"].isin(common)])
            return of if of.count("done") else one

        return [one if seeds == common else same(one) for one, seeds in zip(tried, ended, strict=True)]

    def edges(self, setting: Setting) -> dict[str, str]:
        """Which numbers of a setting are the least or the most that was tried, of three or more."""
        found: dict[str, str] = {}
        for key, value in setting.values.items():
            tried = [one.values.get(key) for one in self.settings if one.method == setting.method]
            numbers = sorted({float(v) for v in tried if is_number(v)})
            if is_number(value) and all(map(is_number, tried)) and len(numbers) > 2:
                edge = {numbers[0]: " (least tried)", numbers[-1]: " (most tried)"}
                found[key] = edge.get(float(value), "")
        return found


def outcomes(runs: pd.DataFrame) -> pd.DataFrame:
    """A line a run with `score` and `choosing`: the final headline scores, of the weights that its method is judged by,
    on the split to report and on the one to choose on; `split` and `choosing_split` name them.

    runs: as `load_runs` gives them. The first runs scored a task's average of the iterates last, as if judged by it.
    """
    nothing = pd.Series(math.nan, runs.index)
    averaged = runs.get("ema", nothing).notna() & runs.get("optimizer.decay", nothing).isna()
    runs = runs.assign(weights=runs["weights"].mask(averaged & runs["weights"].eq("ema"), "fast"))
    of = {split: nothing.copy() for split in ("val", "test")}
    for (kind, metric), mine in runs.groupby(["weights", "metric"]):
        for name, scores in of.items():
            if (column := f"{SCORED}{name}.{kind}.{metric}") in runs:
                scores[mine.index] = pd.to_numeric(mine[column])
    columns = {s: [c for c in runs if str(c).startswith(f"{SCORED}{s}.")] for s in of}
    has = {s: runs[columns[s]].notna().any(axis=1) for s in of}

    def first(*splits: str) -> tuple[pd.Series, pd.Series]:
        scores: pd.Series = nothing.copy()
        names = pd.Series(None, runs.index, dtype=object)
        for split in reversed(splits):
            scores, names = scores.mask(has[split], of[split]), names.mask(has[split], split)
        return scores, names

    score, split = first("test", "val")
    choosing, choosing_split = first("val", "test")
    wrappers = f"{OF_METHOD}wrappers"  # mappings, which have no hash
    told = {wrappers: runs[wrappers].map(text)} if wrappers in runs else {}
    return runs.assign(score=score, split=split, choosing=choosing, choosing_split=choosing_split, **told)


@cache
def keys_of_a_run() -> list[str]:
    """The keys outside of all groups that make a problem: those of conf/config.yaml but a few."""
    written = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    return [key for key in written if key not in NO_PROBLEM]


def problems(runs: pd.DataFrame) -> Iterator[Problem]:
    """Every problem of these runs, those of a task one after another; runs that have no result at all count too.

    runs: a line a run, as `outcomes` gives them. Trials of a search are counted as tried, but no setting.
    """
    for task, mine in runs.groupby(list(TASK), dropna=False, sort=True):
        mine = mine.fillna({k: v for k, v in NEUTRAL.items() if k in mine})  # what a run is from before the key
        keys = [c for c in mine.columns if c.startswith(OF_PROBLEM) or c in keys_of_a_run()]
        differing = [k for k in keys if texts(mine[k]).nunique() > 1 and not told_by_name(mine, k)]
        groups = mine.groupby([texts(mine[k]) for k in differing]) if differing else [((), mine)]
        found = [problem(task, {k: group[k].iloc[0] for k in differing}, group) for _, group in groups]
        yield from sorted(found, key=lambda one: [order(v) for v in one.named.values()])


def told_by_name(runs: pd.DataFrame, key: str) -> bool:
    """Whether a node's class says no more than its name does."""
    node, _, last = key.rpartition(".")
    return last == "_target_" and bool((texts(runs[key]).groupby(texts(runs[f"{node}.name"])).nunique() == 1).all())


def problem(task: Any, named: Mapping[str, Any], runs: pd.DataFrame) -> Problem:
    settings: list[Setting] = []
    tried = {}
    for method, mine in runs.groupby("optimizer", sort=True):
        keys = [c for c in mine.columns if c.startswith(OF_METHOD)]
        differing = [k for k in keys if texts(mine[k]).nunique() > 1]
        always = [k for k in keys if k.split(".")[1] in NAMED_ALWAYS]  # of every player
        names = [k for k in keys if k in (*differing, *always) and k != f"{OF_METHOD}wrappers"]
        told = zip(*(texts(mine[k]) for k in differing), strict=True)
        label = pd.Series(list(map("|".join, told)) if differing else "", mine.index)
        tried[str(method)] = label.nunique()
        mine = mine[~mine["studies"].map(is_only_trial).astype(bool)].sort_values("seed")
        again = pd.DataFrame({"label": label[mine.index], "seed": mine["seed"]}).duplicated()  # looked at more often
        for _, alike in mine[~again].groupby(label[mine.index]):
            values = {k.removeprefix(OF_METHOD): v for k in names if not missing(v := alike[k].iat[0])}
            settings.append(Setting(str(method), values, alike))
    settings.sort(key=lambda one: (one.method, [order(v) for v in one.values.values()]))
    known = runs[runs["metric"].notna()]
    metric, direction = known[["metric", "direction"]].iloc[0] if len(known) else ("loss", "min")
    ended = runs[runs["split"].notna()]
    split, choosing = ended[["split", "choosing_split"]].iloc[0] if len(ended) else ("test", "val")
    return Problem(tuple(task), named, settings, tried, metric, direction == "max", split, choosing)


def text(value: Any) -> str:
    """By which values are told apart: 1 and 1.0 are one, and so are a class of ours here and in another module."""
    if missing(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else OWN.sub(r"\1", str(value))


def texts(column: pd.Series) -> pd.Series:
    """`text` of a whole column, once for each value that it has."""
    try:
        codes, values = pd.factorize(column, use_na_sentinel=False)
    except TypeError:  # what holds mappings has no hash
        return column.map(text)
    return pd.Series(np.array([text(v) for v in values], dtype=object)[codes], column.index)


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and not missing(value)


def order(value: Any) -> tuple[int, Any]:
    """Numbers before lists of numbers before words, each in its own order."""
    if is_number(value):
        return 0, (float(value),)
    if isinstance(value, tuple) and all(map(is_number, value)):
        return 1, (float(len(value)), *map(float, value))
    return 2, (str(value),)


def shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{','.join(map(shown, value))}]"
    return f"{value:g}" if is_number(value) else str(value)

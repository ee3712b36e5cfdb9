"""What the stored runs say of the papers' claims: agrees, contradicts or undecided, with the evidence.

A claim is a statement over runs, in `published/*.yaml`:
  better      a method's final headline score is better than the other's, each at the settings that validation chose
  wider       its good range of a setting is wider: in decades where all are positive, else as it is
  steadier    its slow weights' score changes less from one evaluation to the next than its fast weights'
  converges   every method of `expect` comes to the solution, or does not
It is judged on every problem that has the runs; a single seed decides nothing that chance has a part in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lookahead_bench.report.paired import Paired, holm, paired, seeds_to_decide
from lookahead_bench.report.published import papers
from lookahead_bench.report.settings import OF_METHOD, Problem, Setting, is_number, problems, shown, text
from lookahead_bench.report.stats import ENOUGH, number
from lookahead_bench.report.tables import Table
from lookahead_bench.report.trials import good_range

SURE = 0.05
NEAR = 3.0  # what circles about the solution may have come half the way
Rows = Callable[[Sequence[str]], pd.DataFrame]  # the rows of these runs


@dataclass(frozen=True)
class Question:
    """A claim about one task. runs: those that it speaks of; gap: the published one; rows: the rows of some runs."""

    claim: Mapping[str, Any]
    paper: str
    runs: pd.DataFrame
    gap: float | None
    rows: Rows


@dataclass(frozen=True)
class Verdict:
    """word: "agrees", "contradicts" or "undecided"; one: where; compared: what a test was made of."""

    asked: Question
    one: Problem
    word: str
    evidence: str
    seeds: int
    tuning: str
    compared: Paired | None = None

    @property
    def where(self) -> str:
        values = self.one.settings[0].values
        same = (f"{key}={shown(values[key])}" for key in self.asked.claim.get("matched", ()))
        return " ".join(part for part in (*self.one.task, self.one.text, *same) if isinstance(part, str) and part)

    @property
    def needed(self) -> str:
        """How many seeds would decide: for the difference that was measured, and for the published one."""
        if self.compared is None or self.word != "undecided":
            return ""
        deviation = self.compared.difference.deviation
        if deviation is None:
            return "not known of one seed"
        published = self.asked.gap / deviation if self.asked.gap and deviation else None
        effects = {"as measured": self.compared.effect, "as published": published}
        found = {what: seeds_to_decide(effect) for what, effect in effects.items() if effect}
        return ", ".join(f"{n} {what}" for what, n in found.items() if n) or "no difference was measured"


def verdicts(runs: pd.DataFrame, rows: Rows) -> list[Verdict]:
    """Every claim that these runs (`outcomes`) have something to say of, in the order of the files."""
    found = [
        verdict
        for paper in papers()
        for claim in paper.get("claims", ())
        for dataset, gap in claim["dataset"].items()
        for these in matched(concerned(runs, dataset, claim), claim)
        for verdict in TESTS[claim["test"]](Question(claim, paper["paper"], these, gap, rows))
    ]
    ps = holm([one.compared.p if one.compared else None for one in found])
    return [one if p is None else replace(one, word=word_of(one.compared, p)) for one, p in zip(found, ps, strict=True)]


def concerned(runs: pd.DataFrame, dataset: str, claim: Mapping[str, Any]) -> pd.DataFrame:
    """The runs that a claim speaks of: of a task and, by its `where`, of some of that task's constants."""
    runs = runs[runs["dataset"] == dataset]
    for key, rule in claim.get("where", {}).items():
        values = pd.to_numeric(runs.get(key, pd.Series(math.nan, runs.index)))
        runs = runs[values > rule["above"]] if isinstance(rule, dict) else runs[values == rule]
    return runs


def word_of(compared: Paired | None, p: float | None) -> str:
    if compared is None or p is None or p >= SURE or not compared.sign:
        return "undecided"
    return "agrees" if compared.sign > 0 else "contradicts"


def matched(runs: pd.DataFrame, claim: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """Where a claim is of methods that share the values of some settings, whatever validation says: one set each."""
    keys = [OF_METHOD + key for key in claim.get("matched", ())]
    if not keys:
        yield runs
    elif set(keys) <= set(runs):
        yield from (of for _, of in runs.groupby(keys))


# ------------------------------------------------------------------------------------------------------------ sides


def side(runs: pd.DataFrame, spec: Any) -> tuple[str, pd.DataFrame]:
    """The runs of a method, or of those settings of it, under a name of their own."""
    wanted = {"optimizer": spec} if isinstance(spec, str) else dict(spec)
    method, settings = wanted.pop("optimizer"), {k: v for k, v in wanted.items() if k != "converges"}
    mine = runs[runs["optimizer"] == method]
    for key, value in settings.items():
        column = mine.get(OF_METHOD + key)
        mine = mine.iloc[:0] if column is None else mine[column.map(text) == text(value)]
    name = " ".join([method, *(f"{k}={shown(v)}" for k, v in settings.items())])
    return name, mine.assign(optimizer=name)


def compared_problems(runs: pd.DataFrame, specs: Sequence[Any]) -> Iterator[tuple[Problem, list[Setting]]]:
    """Every problem on which all sides have ended runs, and the setting that validation chose for each."""
    sides = [side(runs, spec) for spec in specs]
    if any(mine.empty for _, mine in sides):
        return
    for one in problems(pd.concat([mine for _, mine in sides])):
        chosen = {setting.method: setting for setting in one.chosen}
        found = [chosen.get(name) for name, _ in sides]
        if all(setting is not None and not setting.runs.empty for setting in found):
            yield one, [setting for setting in found if setting is not None]


def tuning(one: Problem, settings: Sequence[Setting]) -> str:
    """How many settings each side had to choose from, and which it chose."""
    return "; ".join(
        f"{s.method}: {s.text(one.edges(s)) or 'its defaults'}, of {one.tried[s.method]}" for s in settings
    )


# ------------------------------------------------------------------------------------------------------------- tests


def better(asked: Question) -> Iterator[Verdict]:
    claim = asked.claim
    for one, (mine, other) in compared_problems(asked.runs, [claim["method"], claim["other"]]):
        found = paired(mine.scores("score", one.sign), other.scores("score", one.sign))
        if not found.n:
            continue
        scores = [
            number(float(s.done["score"].mean()), one.metric) if len(s.done) else "diverged" for s in (mine, other)
        ]
        lost = f"; {found.lost} and {found.other_lost} lost" if found.lost or found.other_lost else ""
        evidence = (
            f"{one.split} {one.metric} {scores[0]} against {scores[1]}, "
            f"difference {found.difference.times(one.sign).cell(one.metric)}{lost}"
        )
        exact = claim.get("chance") is False and found.n < ENOUGH  # nothing that a second seed would change
        word = word_of(found, 0.0) if exact else "undecided"
        yield Verdict(asked, one, word, evidence, found.n, tuning(one, [mine, other]), found)


def ended(one: Problem, setting: Setting) -> str:
    return number(float(setting.done["score"].mean()), one.metric) if len(setting.done) else "diverged"


def wider(asked: Question) -> Iterator[Verdict]:
    key = asked.claim["key"]
    for one, chosen in compared_problems(trials_too(asked.runs), [asked.claim["method"], asked.claim["other"]]):
        widths, tried = [], []
        for setting in chosen:
            mine = grid_line(one, setting.method, key)
            widths.append(good_widths(mine, key, one.sign))
            tried.append(sorted({float(s.values[key]) for s in mine}))
        if any(len(values) < 3 for values in tried):
            continue
        found = paired(*widths)
        unit = "decades" if all(values[0] > 0 for values in tried) else key
        means = [np.mean(list(w.values())) for w in widths]
        grids = " and ".join(f"{values[0]:g} to {values[-1]:g} ({len(values)})" for values in tried)
        evidence = f"good {key} over {means[0]:.2f} against {means[1]:.2f} {unit}; tried {grids}"
        settings = "; ".join(f"{s.method}: {one.tried[s.method]} settings" for s in chosen)
        yield Verdict(asked, one, "undecided", evidence, found.n, settings, found)


def trials_too(runs: pd.DataFrame) -> pd.DataFrame:
    """The trials of a search are what a range is told from."""
    return runs.assign(studies=None)


def grid_line(one: Problem, method: str, key: str) -> list[Setting]:
    """Of the method's settings a line of the grid: such as differ in the key alone and have every value of it that was
    tried; of several the one with the best setting. All settings where there is none (a random search)."""
    lines: dict[str, list[Setting]] = {}
    for setting in one.settings:
        if setting.method == method and is_number(setting.values.get(key)):
            others = {name: value for name, value in setting.values.items() if name != key}
            lines.setdefault(str(others), []).append(setting)
    every = [setting for line in lines.values() for setting in line]
    tried = len({setting.values[key] for setting in every})
    if whole := [setting for line in lines.values() for setting in line if len(line) == tried]:
        best = one.best(whole)
        return next(line for line in lines.values() if any(setting is best for setting in line))
    return every


def good_widths(settings: Sequence[Setting], key: str, sign: int) -> dict[int, float]:
    """Of every seed that has three values of the setting or more: how wide those within 2 % of its best score lie."""
    of_seed: dict[int, list[tuple[float, float]]] = {}
    for setting in settings:
        for seed, score in setting.scores("choosing", sign).items():
            of_seed.setdefault(seed, []).append((float(setting.values[key]), score))
    widths = {}
    for seed, found in of_seed.items():
        values, scores = zip(*found, strict=True)
        if len(set(values)) > 2 and max(scores) > -math.inf:
            good = good_range(values, scores)
            # Grids are written with few digits: what two decimals do not show is no difference.
            widths[seed] = round(good.decades if min(values) > 0 else good.high - good.low, 2)
    return widths


def steadier(asked: Question) -> Iterator[Verdict]:
    for one, (mine,) in compared_problems(asked.runs, [asked.claim["method"]]):
        frame = asked.rows(list(mine.done["run_id"]))
        if "split" not in frame or one.metric not in frame:
            continue
        changes: dict[str, dict[int, float]] = {"slow": {}, "fast": {}}
        scored = frame[(frame["split"] == one.choosing) & frame["weights"].isin(list(changes))]
        for (_, kind), of in scored.groupby(["seed", "weights"]):
            late = of[of["step"] >= of["step"].max() / 2].sort_values("step")[one.metric]
            if len(late) > 2:
                changes[str(kind)][int(of["seed"].iloc[0])] = -float(late.diff().abs().mean())
        found = paired(changes["slow"], changes["fast"])
        if not found.n:
            continue
        means = [number(-float(np.mean(list(kinds.values()))), one.metric) for kinds in changes.values()]
        evidence = f"{one.choosing} {one.metric} changes by {means[0]} (slow) against {means[1]} (fast), second half"
        yield Verdict(asked, one, "undecided", evidence, found.n, tuning(one, [mine]), found)


def converges(asked: Question) -> Iterator[Verdict]:
    """Without chance one seed is enough: the distance at the end against that at the start."""
    said, wrong, missing = [], 0, 0
    some: list[Setting] = []
    first = None
    for spec in asked.claim["expect"]:
        name, mine = side(asked.runs, spec)
        found = list(problems(mine)) if len(mine) else []
        missing += not found
        for one in found:
            first = first or one
            for setting in one.chosen:
                some.append(setting)
                came, words = comes(one, setting, asked.rows)
                wrong += came != spec["converges"]
                said.append(" ".join(filter(None, (name, one.text, words))))
    if first is None:
        return
    word = "contradicts" if wrong else "undecided" if missing else "agrees"
    lacking = f"; no runs of {missing} of the methods" if missing else ""
    seeds = max(len(s.runs) for s in some)
    yield Verdict(asked, first, word, "; ".join(said) + lacking, seeds, "set, not tuned")


def comes(one: Problem, setting: Setting, rows: Rows) -> tuple[bool, str]:
    """Whether every seed ends NEAR times nearer to the solution than it began, or more."""
    if setting.done.empty:
        return False, "diverges"
    frame = rows(list(setting.done["run_id"]))
    starts = frame[frame["step"] == 0].groupby("run_id")[one.metric].first()
    ends = setting.done.set_index("run_id")["score"]
    come = not setting.count("diverged") and bool((NEAR * ends < starts.reindex(ends.index)).all())
    return come, f"{starts.mean():.2g} to {ends.mean():.2g}"


TESTS: dict[str, Callable[..., Iterator[Verdict]]] = {
    "better": better, "wider": wider, "steadier": steadier, "converges": converges,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- table


def as_table(found: Sequence[Verdict]) -> Table | None:
    if not found:
        return None
    every = sum(len(paper.get("claims", ())) for paper in papers())
    told = len({(one.asked.paper, one.asked.claim["claim"]) for one in found})
    lines = [
        {"claim": one.asked.claim["claim"], "paper": one.asked.paper,
         "source": f"{one.asked.claim['source']} ({one.asked.claim['status']})", "verdict": one.word, "on": one.where,
         "evidence": one.evidence, "seeds": str(one.seeds), "tuning": one.tuning, "seeds to decide": one.needed}
        for one in found
    ]  # fmt: skip
    return Table(
        name="verdicts",
        title="what these runs say of the papers' claims",
        lines=pd.DataFrame(lines),
        narrow=["claim", "on", "verdict", "evidence", "seeds", "seeds to decide"],
        notes=[f"{told} of {every} claims have runs here. Paired tests over seeds at 5 %, after Holm's correction over "
               "this table; of fewer than three seeds nothing is decided that chance has a part in.",
               "A verdict is of these runs, at their scale and with their tuning, not of the paper's."],
    )  # fmt: skip

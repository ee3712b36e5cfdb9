"""The report of a search: its trials, what each method chose, and what that came to with fresh seeds. From runs alone.

A run tells by its studies, NAME/trials/METHOD/NUMBER or NAME/finals/METHOD/NUMBER, what it was done for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lookahead_bench.errors import RunError
from lookahead_bench.report import plotting as plot
from lookahead_bench.report.stats import mean
from lookahead_bench.report.tables import save
from lookahead_bench.report.trials import GOOD, Best, GoodRange, best_so_far, expected_best, good_range

PART = re.compile(r"(?P<name>.+)/(?P<kind>trials|finals)/(?P<method>[^/]+)/(?P<number>\d+)")
RATE = "optimizer.lr"
WIDE = ("oracle calls each", "expected best of 10", "good rates", "chosen", "seeds", "lost")  # not in the terminal
EXPECTED = (5, 10, 20)  # trials, of the table


@dataclass(frozen=True)
class Method:
    """One method of a search.

    trials: a line each, by number: run_id (of the first seed), status, value (as the metric says it), score (more is
    better), rate, settings (what differs between the trials), oracle_calls
    finals: the test scores of the chosen settings with fresh seeds; lost: how many of them have diverged
    """

    name: str
    trials: pd.DataFrame
    finals: list[float]
    lost: int

    @property
    def chosen(self) -> int:
        """The number of the best trial; of equal ones the first."""
        return int(self.trials.index[int(self.trials["score"].to_numpy().argmax())])

    @property
    def diverged(self) -> int:
        return int((self.trials["status"] == "diverged").sum())

    @property
    def scores(self) -> list[float]:
        return [float(score) for score in self.trials["score"]]

    def expected(self, n: int) -> Best:
        return expected_best(self.scores, n)

    def good(self) -> GoodRange | None:
        """None where the method has no rate, or one for every player, or every trial has diverged."""
        rates = self.trials["rate"]
        lost = self.diverged == len(rates)
        return None if lost or rates.isna().any() else good_range(rates.tolist(), self.scores)


@dataclass(frozen=True)
class Found:
    """One search. metric: its headline score; higher: whether more of it is better; split: what it was chosen on."""

    name: str
    metric: str
    higher: bool
    split: str
    methods: list[Method]

    def value(self, score: float) -> float:
        return score if self.higher else -score


def parts(frame: pd.DataFrame) -> pd.DataFrame:
    """A line for every part that a run has in a search: run_id, name, kind, method, number."""
    runs = frame.drop_duplicates("run_id")
    found = [
        {"run_id": run_id, **match.groupdict()}
        for run_id, studies in zip(runs["run_id"], runs["studies"], strict=True)
        for match in map(PART.fullmatch, studies if isinstance(studies, tuple) else ())
        if match
    ]
    return pd.DataFrame(found, columns=["run_id", "name", "kind", "method", "number"]).astype({"number": int})


def is_only_trial(studies: Any) -> bool:
    """Whether a run was done for nothing but trials: no table of methods shows it."""
    found = [PART.fullmatch(one) for one in studies] if isinstance(studies, tuple) else []
    return bool(found) and all(match is not None and match["kind"] == "trials" for match in found)


def outcomes(rows: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """A line a run: its columns, and `start`, `end` and `test`, its scores before training, after it, and on test."""
    judged = plot.judged(rows)

    def at(of: str, which: str) -> pd.Series:
        scored = judged[judged["split"] == of]
        return scored.loc[scored.groupby("run_id")["step"].agg(which)].set_index("run_id")[metric]

    runs = rows.groupby("run_id").last()
    return runs.assign(start=at(split, "idxmin"), end=at(split, "idxmax"), test=at("test", "idxmax"))


def searches(frame: pd.DataFrame) -> Iterator[Found]:
    """Every search that has a finished trial in the frame. Errors: RunError where two searches have one name."""
    every = parts(frame)
    rows = frame[frame["status"].isin(("done", "diverged")) & frame["run_id"].isin(every["run_id"])]
    if "split" not in rows:
        return
    for name, of in every.groupby("name"):
        mine = rows[rows["run_id"].isin(of["run_id"])]
        if (of["kind"].eq("trials") & of["run_id"].isin(mine["run_id"])).any():
            yield search_of(str(name), mine, of)


def search_of(name: str, rows: pd.DataFrame, of: pd.DataFrame) -> Found:
    metric, higher = str(rows["metric"].iloc[0]), rows["direction"].iloc[0] == "max"
    split = str(rows.loc[rows["split"] != "train", "split"].iloc[0])
    runs = of.join(outcomes(rows, metric, split), on="run_id", how="inner")
    trials, finals = runs[runs["kind"] == "trials"], runs[runs["kind"] == "finals"]
    for (method, number), alike in trials.groupby(["method", "number"]):
        if alike["seed"].duplicated().any():
            raise RunError(
                f"study {name}: trial {number} of {method} is of two configurations; tell searches apart by study=NAME"
            )
    sign = 1 if higher else -1
    seen = sign * pd.concat([trials["start"], trials.loc[trials["status"] == "done", "end"]])
    worst = float(seen[np.isfinite(seen)].min())
    methods = []
    for method, tried in trials.groupby("method", sort=False):
        table = trial_table(tried, sign, worst)
        chosen = Method(str(method), table, [], 0).chosen
        ends = finals[(finals["method"] == method) & (finals["number"] == chosen)]
        done = ends["status"] == "done"
        methods.append(Method(str(method), table, ends.loc[done, "test"].tolist(), int((~done).sum())))
    return Found(name, metric, higher, split, methods)


def trial_table(runs: pd.DataFrame, sign: int, worst: float) -> pd.DataFrame:
    """A line a trial, the mean over its seeds. worst: the score of one that has diverged."""
    keys = [key for key in runs.columns if key.startswith("optimizer.") and runs[key].astype(str).nunique() > 1]
    lines = {}
    for number, seeds in runs.sort_values("seed").groupby("number"):
        first, lost = seeds.iloc[0], (seeds["status"] == "diverged").any()
        value = math.nan if lost else float(seeds["end"].mean())
        lines[number] = {
            "run_id": first["run_id"], "status": "diverged" if lost else "done", "value": value,
            "score": worst if lost else sign * value, "rate": first.get(RATE),
            "oracle_calls": seeds["oracle_calls"].mean(),
            "settings": " ".join(f"{key.removeprefix('optimizer.')}={shown(first[key])}" for key in keys),
        }  # fmt: skip
    return pd.DataFrame.from_dict(lines, orient="index").astype({"rate": float}, errors="ignore")


def shown(value: Any) -> str:
    return f"[{','.join(map(shown, value))}]" if isinstance(value, tuple) else f"{value:g}"


# ------------------------------------------------------------------------------------------------------ what is written


def table(found: Found) -> pd.DataFrame:
    """One line a method."""
    lines = []
    for one in found.methods:
        best: dict[str, Any] = one.trials.loc[one.chosen].to_dict()  # type: ignore[assignment]  # of one line, keyed by columns
        count, good = len(one.trials), one.good()

        def expected(n: int, one: Method = one) -> str:
            best = one.expected(n)
            return f"{number(found, found.value(best.mean))} ± {number(found, best.deviation)}"

        lines.append({
            "method": one.name, "trials": count, "diverged": one.diverged, "oracle calls each": calls(one.trials),
            f"best {found.split} {found.metric}": number(found, best["value"]),
            **{f"expected best of {n}": expected(n) for n in EXPECTED if n <= count},
            "good rates": "" if good is None else f"{good.low:g} to {good.high:g}",
            "decades": "" if good is None else f"{good.decades:.2f}",
            "good trials": "" if good is None else f"{good.share:.0%}",
            "chosen": f"{one.chosen}: {best['settings']}",
            f"test {found.metric}, fresh seeds": mean(one.finals).text(found.metric),
            "seeds": len(one.finals) + one.lost,
            "lost": one.lost,
        })  # fmt: skip
    return pd.DataFrame(lines)


def number(found: Found, value: float) -> str:
    return f"{100 * value:.2f}" if found.metric == "accuracy" else f"{value:.4g}"


def calls(trials: pd.DataFrame) -> str:
    """Of those that came to their end; from the fewest to the most where they differ."""
    of = trials.loc[trials["status"] == "done", "oracle_calls"]
    return "-" if of.empty else "-".join(f"{value:,.0f}" for value in sorted({of.min(), of.max()}))


def trial_lines(found: Found) -> pd.DataFrame:
    """One line a trial of every method, as it is stored in a CSV."""
    columns = ["method", "trial", "run_id", "status", "value", "oracle_calls", "settings"]
    every = (one.trials.rename_axis("trial").reset_index().assign(method=one.name) for one in found.methods)
    return pd.concat(every)[columns]


def draw(found: Found) -> Figure:
    """Above: the expected best of n trials, and the test scores with fresh seeds, of all methods. Below, a row each:
    the best so far and the expected best with its band, and the score of every trial over its rate."""
    count = len(found.methods)
    figure = plt.figure(figsize=(2 * plot.WIDTH, 2.6 + 0.8 * count))
    top, below = figure.subfigures(2, 1, height_ratios=[2.6, 0.8 * count], squeeze=False)[:, 0]
    left, right = top.subplots(1, 2)
    rows = below.subplots(count, 2, sharex="col", sharey=True, squeeze=False)
    unit = 100 if found.metric == "accuracy" else 1
    label = f"{found.metric}{' in %' if unit == 100 else ''}"
    for i, (one, (curves, rates)) in enumerate(zip(found.methods, rows, strict=True)):
        look = plot.look(one.name)
        colour = look.colour
        best = [one.expected(n + 1) for n in range(len(one.trials))]
        n = np.arange(1, len(best) + 1)

        def shown(scores: Any) -> Any:
            return (unit if found.higher else -unit) * np.asarray(scores)

        left.plot(n, shown([b.mean for b in best]), color=colour, linestyle=look.line, marker=look.marker, markevery=4,
                  markerfacecolor="white", label=look.label)  # fmt: skip
        finals(right, i, [unit * value for value in one.finals], colour)
        curves.fill_between(n, shown([b.low for b in best]), shown([b.high for b in best]), color=colour, alpha=0.2,
                            linewidth=0)  # fmt: skip
        curves.plot(n, shown([b.mean for b in best]), color=colour)
        curves.step(n, shown(best_so_far(one.scores)), where="post", color="#777777", linewidth=0.8, linestyle="--")
        good = one.good()
        if good is not None:
            rates.axvspan(good.low, good.high, color=colour, alpha=0.15, linewidth=0)
            lost = one.trials["status"] == "diverged"
            for of, marker in ((one.trials[~lost], "o"), (one.trials[lost], "x")):
                rates.plot(of["rate"], shown(of["score"]), marker, color=colour, markersize=3)
            rates.set_xscale("log")
        curves.set_ylabel(look.label)
    left.set_xlabel("trials")
    for ax in (left, rows[-1, 0]):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel(f"expected best {found.split} {label}")
    left.set_ylim(
        *zoomed([unit * found.value(one.expected(n).mean) for one in found.methods for n in (3, len(one.trials))])
    )
    left.legend(fontsize=5, ncols=2)
    right.set_xticks(
        range(count), [plot.look(one.name).label for one in found.methods], rotation=45, ha="right", fontsize=5
    )
    right.set_ylabel(f"test {label}, fresh seeds")
    rows[0, 0].set_title(
        f"{found.split} {label}: best so far (dashed),\nexpected best and its 10 to 90 % band", loc="left"
    )
    rows[0, 1].set_title(
        f"{found.split} {label} of every trial (x: diverged);\nshaded: within {GOOD:.0%} of the best", loc="left"
    )
    rows[-1, 0].set_xlabel("trials")
    rows[-1, 1].set_xlabel("learning rate")
    return figure


def zoomed(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)


def finals(ax: Axes, place: int, values: Sequence[float], colour: str) -> None:
    """The test scores of one method with fresh seeds, and their mean with its 95 % interval."""
    if not values:
        return
    found = mean(values)
    spread = place + np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else [place]
    ax.plot(spread, values, ".", color=colour, markersize=2.5, alpha=0.6)
    ax.errorbar(place, found.value, yerr=found.half_width, fmt="_", color=colour, markersize=8, elinewidth=1.2)


def write(found: Found, directory: Path) -> tuple[str, pd.DataFrame]:
    """NAME.md .csv .tex .png .pdf and NAME-trials.csv in the directory; what was written, and the table."""
    stem = directory / found.name.replace("/", "-")
    lines = table(found)
    save(stem, lines)
    trial_lines(found).to_csv(stem.with_name(f"{stem.name}-trials.csv"), index=False)
    with plt.rc_context(plot.STYLE):
        picture = plot.save(draw(found), stem)
    return f"{stem}.md .csv .tex, {stem}-trials.csv and {picture} .pdf", lines

"""One task's table: a line for each method at the settings that validation chose, or for every setting of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lookahead_bench.report.paired import Paired, holm, paired, seeds_to_decide
from lookahead_bench.report.ranking import Rank, ranks_over_seeds
from lookahead_bench.report.settings import SCORED, Problem, Setting
from lookahead_bench.report.stats import ENOUGH, mean, number
from lookahead_bench.report.tables import Table
from lookahead_bench.report.targets import ToTarget

COSTS = {"oracle calls": "oracle_calls", "samples": "samples", "seconds": "seconds.train"}
Part = tuple[dict[str, str], dict[str, Any]]  # of a line: as text, and as numbers
SURE = 0.05  # p below which two methods are told apart
NOT_DONE = ("diverged", "failed", "interrupted", "running")
NARROW = ("problem", "optimizer", "settings", "seeds", *NOT_DONE, "less the best", "p", "oracle calls", "samples",
          "seconds")  # fmt: skip


def summary_table(
    name: str, of: Sequence[Problem], costs: Sequence[Mapping[str, ToTarget]] = (), *, every: bool = False
) -> Table:
    """The problems of one task, a block each. costs: of each what a target cost its methods; every: all settings in
    numeric order, not only the chosen ones."""
    found = [block(one, cost, every) for one, cost in zip(of, costs or [{}] * len(of), strict=True)]
    lines = [line for texts, _, _ in found for line in texts]
    columns = list(dict.fromkeys(c for line in lines for c in line if any(other.get(c) for other in lines)))
    others = [c for c in columns if c.startswith("of the ")]  # kinds of weights, of which the first line may have none
    if others:
        rest = [c for c in columns if c not in others]
        place = rest.index("weights") + 1
        columns = [*rest[:place], *others, *rest[place:]]
    score = headed(of[0], of[0].split)
    ends, total = [], 0
    for texts, _, _ in found:
        total += len(texts)
        ends.append(total)
    narrow = list(NARROW)
    narrow.insert(narrow.index("less the best"), score)
    return Table(
        name=name,
        title=f"{name}: {score}",
        lines=pd.DataFrame([{c: line.get(c, "") for c in columns} for line in lines]),
        numbers=pd.DataFrame([n for _, numbers, _ in found for n in numbers]).convert_dtypes(),
        bold=[b for _, _, bold in found for b in bold],
        emphasised=score if score in columns else "",
        narrow=narrow,
        blocks=ends[:-1],
        notes=notes(of, every, targets=any(costs)),
    )  # fmt: skip


def block(
    one: Problem, costs: Mapping[str, ToTarget], every: bool
) -> tuple[list[dict[str, str]], list[dict[str, Any]], list[bool]]:
    """Of one problem: the lines as text, as numbers, and which are as good as the best."""
    chosen = one.chosen
    settings = list(one.settings) if every else chosen
    best = chosen[0] if chosen and not chosen[0].done.empty else None
    against = [paired(s.scores("score", one.sign), best.scores("score", one.sign)) if best else None for s in settings]
    ps = holm([None if found is None or s is best else found.p for found, s in zip(against, settings, strict=True)])
    ranks = ranks_of(one, chosen)
    texts: list[dict[str, str]] = []
    numbers, bold = [], []
    for setting, found, p in zip(settings, against, ps, strict=True):
        compared = found if setting is not best else None
        text, values = line(one, setting, compared, p, ranks.get(setting.method) if setting in chosen else None)
        if any(setting is c for c in chosen):
            text["chosen"] = "yes" if every else ""
            if setting.method in costs:
                text |= on_the_way(costs[setting.method], one)
                values |= {f"{c} to target": cost for c, cost in costs[setting.method].costs.items()}
                values |= {"target": costs[setting.method].target, "reached": costs[setting.method].reached}
        texts.append(text | ({"problem": ""} if texts else {}))  # said once a block
        as_good = setting is best or (p is not None and p >= SURE)
        numbers.append(values | {"best": as_good, "chosen": any(setting is c for c in chosen)})
        bold.append(as_good)
    return texts, numbers, bold


def headed(one: Problem, split: str) -> str:
    """A column's name, with the unit where it has one."""
    return f"{split} {one.metric}" + (" in %" if one.metric == "accuracy" else "")


def ranks_of(one: Problem, chosen: Sequence[Setting]) -> dict[str, Rank]:
    """Among the methods that share seeds with all the others."""
    scores = {s.method: s.scores("score", one.sign) for s in chosen if not s.done.empty}
    frame = pd.DataFrame(scores).dropna()
    return ranks_over_seeds(frame) if len(frame) and len(frame.columns) > 1 else {}


def line(one: Problem, setting: Setting, compared: Paired | None, p: float | None, rank: Rank | None) -> Part:
    done, metric, score = setting.done, one.metric, headed(one, one.split)
    tried = one.tried[setting.method]
    counts = {status: setting.count(status) for status in NOT_DONE}
    text = {"problem": one.text, "optimizer": setting.method, "settings": setting.text(one.edges(setting)),
            "chosen": "", "tried": str(tried), "seeds": str(len(done))}  # fmt: skip
    text |= {status: str(n) if n else "" for status, n in counts.items()}
    values: dict[str, Any] = dict(one.named) | {"optimizer": setting.method, **setting.values}
    values |= {"tried": tried, "seeds": len(done), **counts}
    if len(done):
        scores, kind = mean([float(v) for v in done["score"]]), str(done["weights"].iloc[0])
        text |= {score: scores.cell(metric), "sd": "" if scores.deviation is None else number(scores.deviation, metric)}
        text |= {"weights": kind} | other_scores(one, setting, kind)
        values |= {
            f"{one.split} {metric}": scores.value, "standard deviation": scores.deviation,
            "interval": scores.half_width, "least": scores.low, "most": scores.high, "weights": kind,
        }  # fmt: skip
    for part in (against_the_best(one, compared, p), ranked(rank), what_it_took(one, setting)):
        text, values = text | part[0], values | part[1]
    return text, values


def against_the_best(one: Problem, compared: Paired | None, p: float | None) -> Part:
    if compared is None or not compared.n:
        return dict.fromkeys(("less the best", "p", "d", "seeds to decide"), ""), {}
    difference, effect = compared.difference.times(one.sign), compared.effect
    needed = seeds_to_decide(effect)
    lost = f" ({compared.lost} lost)" if compared.lost else ""  # the difference is of the seeds in which both ended
    text = {
        "less the best": f"{difference.cell(one.metric)}{lost}", "p": "" if p is None else f"{p:.2g}",
        "d": "" if effect is None else f"{one.sign * effect:.2f}", "seeds to decide": str(needed or ""),
    }  # fmt: skip
    values = {"less the best": difference.value, "less the best interval": difference.half_width,
              "common seeds": compared.n, "test": compared.test, "p": compared.p, "p corrected": p, "d": effect,
              "seeds to decide": needed}  # fmt: skip
    return text, values


def ranked(rank: Rank | None) -> Part:
    if rank is None:
        return {"rank": ""}, {}
    return {"rank": rank.text()}, {"rank": rank.value, "rank low": rank.low, "rank high": rank.high}


def what_it_took(one: Problem, setting: Setting) -> Part:
    """What it was chosen by, and what it cost in every currency."""
    text, values, done = {}, {}, setting.done
    if not len(done):
        return {}, {}
    if one.choosing != one.split:
        chosen_by = mean([float(v) for v in done["choosing"]])
        text[headed(one, one.choosing)] = chosen_by.cell(one.metric)
        values[f"{one.choosing} {one.metric}"] = chosen_by.value
    for name, column in COSTS.items():
        if column in done:
            values[name] = cost = float(done[column].mean())
            text[name] = amount(name, cost)
    return text, values


def amount(currency: str, cost: float) -> str:
    return "never" if cost == math.inf else f"{cost:,.1f}" if currency == "seconds" else f"{cost:,.0f}"


def on_the_way(found: ToTarget, one: Problem) -> dict[str, str]:
    """What the target cost, in every currency, and how many seeds came there."""
    lost = found.reached - found.kept
    return {"target": number(found.target, one.metric),
            **{f"{c} to it": amount(c, cost) for c, cost in found.costs.items()},
            "reached by": f"{found.reached} of {found.n}" + (f", {lost} lost it" if lost else "")}  # fmt: skip


def other_scores(one: Problem, setting: Setting, kind: str) -> dict[str, str]:
    """The headline score of the other kinds of weights, and of the judged ones what the task names under `also`."""
    done = setting.done
    scored = [c for c in map(str, done) if c.startswith(f"{SCORED}{one.split}.") and done[c].notna().any()]
    found = {(kind, metric): c for c in scored for _, _, kind, metric in [c.split(".", 3)]}
    also = next((a for a in done["also"] if isinstance(a, tuple)), ())
    others = {f"of the {k} weights": c for (k, m), c in found.items() if m == one.metric and k != kind}
    scores = {f"{one.split} {name}": found[kind, name] for name in also if (kind, name) in found}
    values = {name: mean([float(v) for v in done[c].dropna()]) for name, c in (others | scores).items()}
    return {name: v.cell(one.metric if name in others else name.split()[-1]) for name, v in values.items()}


def notes(of: Sequence[Problem], every: bool, *, targets: bool) -> list[str]:
    counts = [len(s.done) for one in of for s in (one.settings if every else one.chosen)]
    said = ["Mean over seeds ± 95 % interval (Student's t)" + ("; of two seeds the range" if 2 in counts else "") +
            ("; of one seed its value, with neither interval nor test" if 1 in counts else "") + "."]  # fmt: skip
    if max(counts, default=0) >= ENOUGH:
        said += [
            "Bold, or *: the best, and what the paired test over common seeds does not tell from it at 5 % after "
            "Holm's correction.",
            "d: the mean difference in standard deviations of the differences; seeds to decide: for that d at 80 % "
            "power; rank: with its 95 % bootstrap interval over seeds.",
        ]
    if any(n > 1 for one in of for n in one.tried.values()):
        where = {one.choosing for one in of}
        only = " (the task has no other split)" if where == {"test"} else ""
        if not every:
            said.append(
                f"Settings: of those tried the ones with the best final mean on {', '.join(sorted(where))}{only}."
            )
    if targets:
        said.append("target: the validation score that the median method ends at; to it: the median over seeds.")
    if any(s.count("diverged") for one in of for s in one.settings):
        said.append("A mean is of the runs that ended; a setting with diverged runs stands after those without.")
    return said

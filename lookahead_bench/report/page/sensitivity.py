"""How a method's score depends on one of its numbers: over lr, k, alpha, ..., at the best of what else was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookahead_bench.report.page.lines import Figure, Group, Line, Points, exact, unit, view_name
from lookahead_bench.report.settings import Problem, Setting, is_number

FEW = 3  # values of a number are needed for a line


def figures(name: str, problem: Problem) -> Iterator[Figure]:
    """One for every number that some method has `FEW` values of, on the split for choosing."""
    view = view_name(problem.choosing, problem.metric)
    tried = [one for one in problem.settings if not one.done.empty and one.done["choosing"].notna().all()]
    for key in dict.fromkeys(key for one in tried for key, value in one.values.items() if is_number(value)):
        lines = []
        for method in dict.fromkeys(one.method for one in tried):
            mine = [one for one in tried if one.method == method and is_number(one.values.get(key))]
            points = best(mine, key, problem)
            if len(points[key]) >= FEW:
                lines.append(Line(Group(method, method, "", []), {view: points}))
        if lines:
            values = [x for line in lines for x in line.views[view][key]]
            wide = min(values) > 0 and max(values) >= 10 * min(values)
            title = f"Sensitivity to {key}: the best mean over seeds of all that was tried with it; band: extreme seeds"
            more = f"; {problem.text}" if problem.text else ""
            yield Figure(f"{name}-over-{key}", title + more, {key: key}, [view], lines, (wide, False))


def best(settings: Sequence[Setting], key: str, problem: Problem) -> Points:
    """At each value of the key the setting with the best mean over seeds: that mean, and its extreme seeds."""
    chosen: dict[float, Setting] = {}
    for one in sorted(settings, key=lambda one: one.order("choosing", problem.sign)):
        chosen.setdefault(float(one.values[key]), one)
    scores = {x: unit(problem.metric) * chosen[x].done["choosing"] for x in sorted(chosen)}
    columns = {"mean": [s.mean() for s in scores.values()], "low": [s.min() for s in scores.values()],
               "high": [s.max() for s in scores.values()]}  # fmt: skip
    return {key: list(map(exact, scores)), **{name: list(map(exact, values)) for name, values in columns.items()}}

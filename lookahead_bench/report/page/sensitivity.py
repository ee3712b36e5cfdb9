"""How a method's score depends on one of its numbers, as `report.sensitivity` has it, for the page."""

from __future__ import annotations

from collections.abc import Iterator

from lookahead_bench.report.page.lines import Figure, Group, Line, Points, exact, unit, view_name
from lookahead_bench.report.sensitivity import points, swept
from lookahead_bench.report.settings import Problem


def figures(name: str, problem: Problem) -> Iterator[Figure]:
    """One for every number that was swept, on the split for choosing."""
    view = view_name(problem.choosing, problem.metric)
    for key in swept([problem]):
        found = {method: over(key, problem, method) for method in dict.fromkeys(one.method for one in problem.settings)}
        lines = [
            Line(Group(method, method, "", []), {view: line}, joined=is_line(key, problem, method))
            for method, line in found.items()
            if line[key]
        ]
        values = [x for line in found.values() for x in line[key]]
        wide = min(values) > 0 and max(values) >= 10 * min(values)
        of = f"; {problem.text}" if problem.text else ""
        title = f"Sensitivity to {key}: the best mean over seeds of all that was tried with it; band: extreme seeds{of}"
        yield Figure(f"{name}-over-{key}", title, {key: key}, [view], lines, (wide, False))


def over(key: str, problem: Problem, method: str) -> Points:
    """At each value of the key that came to an end the mean over seeds of the best setting, and its extreme seeds."""
    ended = [(value, setting.done["choosing"]) for value, setting in points(key, problem, method)]
    scores = {value: unit(problem.metric) * of for value, of in ended if of.notna().any()}
    return {key: list(map(exact, scores)), **{
        name: [exact(getattr(of, how)()) for of in scores.values()]
        for name, how in (("mean", "mean"), ("low", "min"), ("high", "max"))
    }}  # fmt: skip


def is_line(key: str, problem: Problem, method: str) -> bool:
    """Whether most values were tried with the same other settings: not where each had its own (a random search)."""
    tried = [one.values for one in problem.settings if one.method == method]
    others = {str({k: v for k, v in values.items() if k != key}) for values in tried}
    return 2 * len(tried) >= len({values.get(key) for values in tried}) * len(others)

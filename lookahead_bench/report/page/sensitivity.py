"""How a method's score depends on one of its numbers: over lr, k, alpha, ..., at the best of what else was tried."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lookahead_bench.report.page.lines import Figure, Group, Line, Points, exact, view_name

FEW = 3  # values of a number are needed for a line
OF_METHOD = "optimizer."


def figures(name: str, runs: pd.DataFrame, metric: str, *, higher: bool, split: str) -> Iterator[Figure]:
    """One for every number that some method has `FEW` values of.

    runs: those that are done, a line a run, with `label`, the setting's name, and `score`, on the split for choosing.
    """
    runs = runs[runs["score"].notna()]
    keys = [key for key in runs.columns if key.startswith(OF_METHOD) and is_number(runs[key])]
    for key in keys:
        short, view = key.removeprefix(OF_METHOD), view_name(split, metric)
        found = {str(method): best(mine, key, metric, higher) for method, mine in runs.groupby("optimizer")}
        lines = [
            Line(Group(method, method, "", []), {view: {short: found.pop("x"), **found}})
            for method, found in found.items()
            if len(found["x"]) >= FEW
        ]
        if lines:
            values = [x for line in lines for x in line.views[view][short]]
            wide = min(values) > 0 and max(values) >= 10 * min(values)
            yield Figure(
                f"{name}-over-{short}", f"Sensitivity to {short}", {short: short}, [view], lines, (wide, False)
            )


def best(runs: pd.DataFrame, key: str, metric: str, higher: bool) -> Points:
    """At each value of the key the setting with the best mean over seeds: that mean, and its extreme seeds."""
    settings = runs.groupby(["label", key])["score"].agg(["mean", "min", "max"]).reset_index()
    chosen = settings.sort_values("mean", ascending=not higher).drop_duplicates(key).sort_values(key)
    chosen[["mean", "min", "max"]] *= 100 if metric == "accuracy" else 1
    columns = {"x": chosen[key], "mean": chosen["mean"], "low": chosen["min"], "high": chosen["max"]}
    return {name: [exact(value) for value in values] for name, values in columns.items()}


def is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)

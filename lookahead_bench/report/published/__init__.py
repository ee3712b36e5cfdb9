"""What the papers published and claim, one YAML a paper, and ours beside it. Only what was read is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lookahead_bench.report.settings import OF_METHOD, Problem, Setting, missing, shown, text
from lookahead_bench.report.stats import mean, number
from lookahead_bench.report.tables import Table


@cache
def papers() -> list[dict[str, Any]]:
    """Every file, each with `paper`, `values` and `claims`."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(Path(__file__).parent.glob("*.yaml"))]


def published(dataset: str, metric: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The paper, the table and the row of every value of a task that was read; a recalled one is none."""
    for paper in papers():
        for one in paper.get("values", ()):
            if (one["dataset"], one["metric"]) == (dataset, metric):
                source = one.get("paper", paper["paper"])
                yield from ((source, one, row) for row in one["rows"] if row["status"] == "read")


def beside(of: Sequence[Problem]) -> Table | None:
    """Each published value of these tasks, and ours with what is different in its set-up; None where there is none."""
    lines = []
    for one in of:
        for paper, table, row in published(one.task[0], one.metric):
            setting = ours(one, row, table.get("tells", ()))
            if setting is None:
                continue
            found = mean([float(v) for v in setting.done["score"]])
            lines.append(
                {"paper": paper, "table": table["table"], "optimizer": row["optimizer"], "published settings":
                 " ".join(f"{k}={shown(v)}" for k, v in row.get("settings", {}).items()),
                 "published": number(row["value"], one.metric), "scale": one.task[1], "ours": found.cell(one.metric),
                 "seeds": str(found.n), "our settings": setting.text(), "differences of set-up":
                 differences(table["setup"] | {OF_METHOD + k: v for k, v in row.get("settings", {}).items()}, setting)}
            )  # fmt: skip
    if not lines:
        return None
    return Table(
        name="published",
        title="published values, and ours beside them",
        lines=pd.DataFrame(lines),
        narrow=["table", "optimizer", "published", "scale", "ours", "seeds", "differences of set-up"],
        notes=["Differences: ours (the paper's). Where there are any, ours neither confirms nor refutes the value."],
    )


def ours(one: Problem, row: Mapping[str, Any], tells: Sequence[str]) -> Setting | None:
    """The setting of the row's method that validation chose; tells: what of it must be as in the row."""

    def fits(setting: Setting) -> bool:
        first = setting.runs.iloc[0]
        told = all(text(first.get(OF_METHOD + key)) == text(row["settings"][key]) for key in tells)
        return setting.method == row["optimizer"] and not setting.done.empty and told

    found = list(filter(fits, one.settings))
    return one.best(found) if found else None


def differences(setup: Mapping[str, Any], setting: Setting) -> str:
    """`epochs 10 (200)`: every key of the paper's that ours does not share, null being what ours leaves open."""
    first = setting.runs.iloc[0]
    mine = {key: first.get(key) for key in setup}
    other = {key: value for key, value in setup.items() if not same(mine[key], value)}
    return ", ".join(
        f"{key.rpartition('.')[2]} {'-' if missing(mine[key]) else shown(mine[key])} ({shown(value)})"
        for key, value in other.items()
    )


def same(mine: Any, value: Any) -> bool:
    try:
        return float(mine) == float(value)
    except (TypeError, ValueError):
        return text(mine) == text(value)

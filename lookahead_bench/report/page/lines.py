"""What a figure of the page draws, as plain data: lines of (x, mean, extremes) points, few enough for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

POINTS = 80  # of a line at most
STEPS = {"oracle_calls": "oracle calls", "step": "steps", "samples": "samples", "seconds": "seconds of training"}

Points = dict[str, list[float]]  # a list for each x axis, and `mean`, `low`, `high`


@dataclass(frozen=True)
class Group:
    """Runs that one line stands for: the seeds of one setting. shown: whether the line is there at first."""

    method: str
    label: str
    weights: str
    run_ids: Sequence[str]
    shown: bool = True


@dataclass(frozen=True)
class Line:
    """One group's points in every view of a figure that it has rows for. joined: whether they are one line."""

    group: Group
    views: Mapping[str, Points]
    joined: bool = True


@dataclass(frozen=True)
class Figure:
    """axes: {column: label} of the x axes to choose from; views: names of the y axes to choose from, the first one is
    shown; logarithmic: x, y."""

    name: str
    title: str
    axes: Mapping[str, str]
    views: Sequence[str]
    lines: Sequence[Line]
    logarithmic: tuple[bool, bool] = (False, False)

    def y_range(self, view: str) -> tuple[float, float]:
        """Of the means that are shown at first, from where the curves part on: their start would flatten the rest."""
        means = [line.views[view]["mean"] for line in self.lines if line.group.shown and view in line.views]
        parts = [mean[max(1, len(mean) // 8) :] if self.axes == STEPS else mean for mean in means]
        values = [value for part in parts for value in part]
        return around(values, self.logarithmic[1])

    def x_range(self, view: str, axis: str) -> tuple[float, float]:
        return around([x for line in self.lines if view in line.views for x in line.views[view][axis]],
                      self.logarithmic[0])  # fmt: skip


def around(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    """From the least to the most, with a margin."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if logarithmic and low > 0:
        margin = (high / low) ** 0.04 if high > low else 2.0
        return exact(low / margin), exact(high * margin)
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return exact(low - margin), exact(high + margin)


def curves(name: str, title: str, groups: Sequence[Group], rows: pd.DataFrame, metrics: Sequence[str]) -> Figure | None:
    """Scores over training: the headline metric, those named beside it, and the loss, of every split that has them.

    rows: of the runs of these groups; metrics: the headline metric first. None where there are no curves.
    """
    wanted = [(split, metric) for metric in metrics for split in ("val", "test", "train") if metric in rows]
    lines = []
    for group in groups:
        mine = rows[rows["run_id"].isin(set(group.run_ids)) & (rows["status"] == "done")]
        views = {}
        for split, metric in wanted:
            scored = mine[(mine["split"] == split) & mine[metric].notna()]
            kinds = scored["weights"].unique()
            scored = scored[scored["weights"] == (group.weights if group.weights in kinds else "fast")]
            if scored["step"].nunique() > 2:
                views[view_name(split, metric)] = over_steps(scored, metric)
        if views:
            lines.append(Line(group, views))
    names = [name for name in (view_name(*one) for one in wanted) if any(name in line.views for line in lines)]
    if not names:
        return None
    first = [value for line in lines for value in line.views.get(names[0], {}).get("mean", [])]
    return Figure(name, title, STEPS, names, lines, (False, min(first) > 0 and max(first) > 1000 * min(first)))


def view_name(split: str, metric: str) -> str:
    return f"{split} {metric.replace('_', ' ')}{' in %' if metric == 'accuracy' else ''}"


def unit(metric: str) -> float:
    return 100 if metric == "accuracy" else 1


def over_steps(rows: pd.DataFrame, metric: str) -> Points:
    """The mean over seeds and the extremes at every step that has a score."""
    spread: pd.DataFrame = rows.groupby("step").agg(
        oracle_calls=("oracle_calls", "mean"), samples=("samples", "mean"), seconds=("seconds", "mean"),
        mean=(metric, "mean"), low=(metric, "min"), high=(metric, "max"),
    )  # fmt: skip
    spread[["mean", "low", "high"]] *= unit(metric)
    spread = spread.reset_index()
    spread = spread[np.isfinite(spread.to_numpy()).all(axis=1)]
    kept = np.unique(np.linspace(0, len(spread) - 1, min(POINTS, len(spread))).round().astype(int))
    return {str(key): [exact(value) for value in values] for key, values in spread.iloc[kept].items()}


def exact(value: Any) -> float:
    """To five digits: a page is looked at."""
    return float(f"{value:.5g}")

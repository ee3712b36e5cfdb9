"""Turns what the trainer says into each run's files: one row and one checkpoint a replica."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lookahead_bench.bands import bands_of
from lookahead_bench.errors import ConfigError
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.files import MANY, atomic
from lookahead_bench.runs.parts import apart, part
from lookahead_bench.runs.resume import code
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.tasks.base import Picture, Scores

HOLD = 200  # rows


@dataclass
class Held:
    """Rows of several replicas that are not formatted yet; `values`: [metrics, R] each."""

    heads: list[str]
    values: list[Tensor]
    whose: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class Recorder:
    """The trainer's log for R runs: a metric of shape [] or [R] becomes a number in each run's metrics.jsonl.

    metric, direction   the headline score, "max" or "min", of the first split that the task reports
    on_row, on_picture  called with every row, and every picture, of a single run (the tracker)
    on_diverged         called with the replicas that have just ended so
    """

    def __init__(
        self,
        runs: Sequence[RunDirectory],
        metric: str,
        direction: str,
        on_row: Callable[[dict[str, Any]], None] = lambda row: None,
        on_picture: Callable[[dict[str, Any], str, Picture], None] = lambda position, name, picture: None,
        on_diverged: Callable[[list[int]], None] = lambda replicas: None,
    ) -> None:
        self.runs, self.metric, self.sign = runs, metric, 1 if direction == "max" else -1
        self.on_row, self.on_picture, self.on_diverged = on_row, on_picture, on_diverged
        self.summary: list[dict[str, Any]] = [{"final": {}, "best": None} for _ in runs]
        self.weights = "fast"  # the kind that the best score is chosen among
        self.ended: set[int] = set()  # the replicas that have diverged: nobody may go on from their later states
        self.earlier: list[dict[str, str | None]] = []  # other versions that had a hand in these runs
        self.cost = math.nan  # the first run's last headline score that the best is chosen among, less is better
        self._improved: dict[int, None] = {}
        self._held = Held([], [])

    def row(self, position: dict[str, Any], metrics: Scores, replicas: list[int] | None = None) -> None:
        whose = range(len(self.runs)) if replicas is None else replicas
        if len(self.runs) > 1 and position["split"] == "train":
            self._hold(position, metrics, whose)
            return
        self._release()
        columns = {name: self._column(value) for name, value in metrics.items()}
        head = json.dumps(position)[:-1]
        for r in whose:
            numbers = "".join(f', "{name}": {number(column[r])}' for name, column in columns.items())
            self.runs[r].append_line(f"{head}{numbers}}}")
        if position["split"] != "train":
            for r in whose:
                self._score(r, position, {name: column[r] for name, column in columns.items()})
        if len(self.runs) == 1 and whose:
            self.on_row(position | {name: column[0] for name, column in columns.items()})

    def rows(self) -> list[dict[str, Any]]:
        """All rows of a single run so far."""
        self.flush()
        return self.runs[0].rows()

    def picture(self, position: dict[str, Any], name: str, picture: Picture) -> None:
        """Write a single run's samples/NAME.png; one of the same name makes place."""
        from PIL import Image

        folder = self.runs[0].path / "samples"
        folder.mkdir(exist_ok=True)
        with atomic(folder / f"{name}.png") as file:
            Image.fromarray(picture).save(file, "PNG")
        self.on_picture(position, name, picture)

    def _hold(self, position: dict[str, Any], metrics: Scores, whose: Sequence[int]) -> None:
        """Keep a row of many replicas, to be formatted together with those that follow."""
        held = self._held
        if held.heads and (held.whose != list(whose) or held.names != list(metrics) or len(held.heads) >= HOLD):
            self._release()
            held = self._held
        if not held.heads:
            held.whose, held.names = list(whose), list(metrics)
        held.heads.append(json.dumps(position)[:-1])
        held.values.append(torch.stack([value.expand(len(self.runs)) for value in metrics.values()]))

    def _release(self) -> None:
        """Format the rows that are held: one template for all replicas, which differ in their numbers only."""
        held, self._held = self._held, Held([], [])
        if not held.heads:
            return
        numbers = torch.stack(held.values).cpu()  # [rows, metrics, R]
        finite = bool(torch.isfinite(numbers).all())
        tail = "".join(f', "{name}": {"%r" if finite else "%s"}' for name in held.names) + "}"
        template = "\n".join(head.replace("%", "%%") + tail for head in held.heads)
        for r, values in zip(held.whose, numbers.flatten(0, 1).t()[held.whose].tolist(), strict=True):
            self.runs[r].append_line(template % tuple(values if finite else map(number, values)))

    def _column(self, value: Tensor) -> list[float]:
        return value.tolist() if value.dim() else [value.item()] * len(self.runs)

    def _score(self, r: int, position: dict[str, Any], metrics: dict[str, float]) -> None:
        """Keep the last scores of every split and weights, and the best headline score of the evaluated weights."""
        summary, split, weights = self.summary[r], position["split"], position["weights"]
        summary["final"].setdefault(split, {})[weights] = metrics
        if self.metric not in metrics:
            raise ConfigError(
                f"dataset.about.metric={self.metric}: the task scores {', '.join(metrics)}; name one of them"
            )
        value = metrics[self.metric]
        best = summary["best"]
        if split != next(iter(summary["final"])) or weights != self.weights:
            return
        if r == 0:
            self.cost = -self.sign * value
        if not math.isfinite(value):
            return
        if best is None or self.sign * value > self.sign * best["value"]:
            summary["best"] = {
                "metric": self.metric,
                "value": value,
                "split": split,
                "weights": weights,
                "step": position["step"],
            }
            self._improved[r] = None

    def ended_finite(self, r: int) -> bool:
        """Whether the loss and the headline score of replica r's last evaluation are numbers, on every split."""
        last = [kinds[self.weights] for kinds in self.summary[r]["final"].values() if self.weights in kinds]
        return all(math.isfinite(scores.get(name, 0.0)) for scores in last for name in ("loss", self.metric))

    def improved(self) -> list[int]:
        """The replicas whose best score has changed since this was asked last."""
        found = list(self._improved)
        self._improved.clear()
        return found

    def best(self, replicas: list[int], weights: dict[str, Any]) -> None:
        states = {}
        for r in replicas:
            self.runs[r].require_ours()
            head = {"run_id": self.runs[r].config.run_id, **self.summary[r]["best"]}
            states[self.runs[r].checkpoints / "best.pt"] = head | {
                "task": weights if len(self.runs) == 1 else part(weights, r)
            }
        checkpoint.save(states)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Save each replica's part of the state, as a run done alone would have it."""
        self.flush()
        together = ",".join(run.digest for run in self.runs)
        states = {}
        parts = apart(state, [len(band) for band in bands_of(run.config for run in self.runs)])
        for r, (run, mine) in enumerate(zip(self.runs, parts, strict=True)):
            head = {"run_id": run.config.run_id, "together": together, "diverged": r in self.ended,
                    "summary": self.summary[r], "code": code(), "earlier": self.earlier, "keys": list(state),
                    **run.mark()}  # fmt: skip
            states[run.checkpoints] = mine | head
        checkpoint.save_generation(states, state["step"])

    def diverged(self, replicas: list[int]) -> None:
        self.flush()
        self.ended.update(replicas)
        self.on_diverged(replicas)

    def flush(self) -> None:
        self._release()
        for run in self.runs:
            run.flush(sync=len(self.runs) <= MANY)


def number(value: float) -> str:
    """A float as JSON; what is not finite as a string."""
    if isinstance(value, float) and not math.isfinite(value):
        return '"nan"' if math.isnan(value) else '"inf"' if value > 0 else '"-inf"'
    return repr(value)

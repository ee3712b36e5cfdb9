"""`lookahead-bench --dry-run`: what there is to do, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from lookahead_bench.configuration import Config
from lookahead_bench.cost import LONG, Cost, Pace, cost, keep, known, place
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.notices import complain
from lookahead_bench.report.console import console, table
from lookahead_bench.runs.progress import State, words
from lookahead_bench.runs.store import RunDirectory

LINES = 30  # runs that have a line each; more are put together, a line for each kind


@dataclass
class Line:
    """Runs that are shown together: how many, how many of them are there already, and what the others cost."""

    name: str
    runs: int = 0
    done: int = 0
    costs: list[Cost | None] = field(default_factory=list)  # None: not known
    source: str = ""

    def add(self, runs: int, done: int, cost: Cost | None, source: str) -> None:
        self.runs, self.done, self.source = self.runs + runs, self.done + done, source
        if done < runs:
            self.costs.append(cost)

    def total(self, what: Callable[[Cost], float], shown: Callable[[float], str]) -> str:
        """The sum over the costs that are known; a `+` says that there are others."""
        known = [what(cost) for cost in self.costs if cost is not None]
        if not self.costs:
            return ""
        return f"{shown(sum(known))}{'+' if len(known) < len(self.costs) else ''}" if known else "?"


def show(configs: Iterable[Config], later: int = 0) -> None:
    """A line a run, or a kind of runs; and the sum. configs: one a job; nothing is begun. later: runs that follow.

    What nobody knows is timed, a few steps each, and kept in results_dir.
    """
    jobs = [(config, [RunDirectory(one) for one in config.seeds()]) for config in configs]
    paces = Paces()
    lines: dict[str, Line] = {}
    together = sum(len(runs) for _, runs in jobs) > LINES
    whole: list[float] = []  # seconds of a job from its beginning
    for config, runs in jobs:
        due = [one for one in runs if one.due()]
        pace = paces.of(config) if due or later else None
        full = cost(config, pace) if pace else None
        whole += [full.seconds] if full else []
        expected = full * share_left(due) if full and due else None
        name = str(place(config).stem) if together else config.run_id
        title = f"{config['dataset']['name']}-{config['optimizer']['name']}" if together else config.run_id
        line = lines.setdefault(name, Line(title))
        line.add(len(runs), len(runs) - len(due), expected, paces.said(config))
    out, shown = console(), table()
    for column in ("run", "runs", "done", "steps", "oracle calls", "time", "disk", "as"):
        shown.add_column(column, justify="left" if column in ("run", "as") else "right", overflow="fold")
    for line in lines.values():
        shown.add_row(line.name, f"{line.runs:,}", f"{line.done:,}", *totals(line), line.source)
    out.print(shown)
    every = Line("", sum(one.runs for one in lines.values()), sum(one.done for one in lines.values()),
                 [cost for one in lines.values() for cost in one.costs])  # fmt: skip
    _, calls, time, disk = totals(every)
    rest = f", {every.runs - every.done:,} to do: {calls} oracle calls, {time} one after another, {disk}"
    out.print(f"{every.runs:,} runs, {every.done:,} done{rest if every.costs else ''}")
    if later:
        ahead = f", {words(later * fmean(whole))} at most if they are like these" if whole else ""
        out.print(f"{later:,} runs more follow from what these will say{ahead}", soft_wrap=True)


def totals(line: Line) -> tuple[str, str, str, str]:
    return (
        line.total(lambda cost: cost.steps, "{:,.0f}".format),
        line.total(lambda cost: cost.oracle_calls, "{:,.0f}".format),
        line.total(lambda cost: cost.seconds, words),
        line.total(lambda cost: cost.bytes, size),
    )


def size(count: float) -> str:
    unit, name = next((1000**n, name) for n, name in ((3, "GB"), (2, "MB"), (1, "kB")) if count >= 1000**n or n == 1)
    return f"{count / unit:.3g} {name}"


class Paces:
    """The pace of every kind, looked up or timed once."""

    def __init__(self) -> None:
        self._of: dict[Path, Pace | None] = {}

    def of(self, config: Config) -> Pace | None:
        key = place(config)
        if key not in self._of:
            self._of[key] = known(config) or self._timed(config)
        return self._of[key]

    def said(self, config: Config) -> str:
        pace = self._of.get(place(config))
        return pace.source if pace else ""

    def _timed(self, config: Config) -> Pace | None:
        from lookahead_bench.timing import timed

        try:
            pace = timed(config)
        except (ConfigError, DataError) as error:
            complain(f"{config.run_id}: no estimate: {error}")
            return None
        keep(config, pace)
        return pace


def share_left(due: Iterable[RunDirectory]) -> float:
    """What is still to do of these runs, which go on together."""
    return 1 - min(0.0 if one.begins_anew() else State.of(one.path).progress for one in due)


def announce(config: Config) -> None:
    """One line on stderr about a run of at least LONG seconds, where its pace is known; nothing is timed for it."""
    runs = [RunDirectory(one) for one in config.seeds()]
    due = [one for one in runs if one.due()]
    pace = known(config) if due else None
    if pace is None:
        return
    expected = cost(config, pace) * share_left(due)
    if expected.seconds >= LONG:
        timed = "a few timed steps" if pace.source == "timed" else pace.source
        complain(f"{config.run_id}: about {words(expected.seconds)} for {expected.steps:,} steps, judging by {timed}")

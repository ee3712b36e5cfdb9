"""Interleaved timing: every contender has its turn in every round, so a drift of the machine meets all alike."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Mapping

import torch

from lookahead_bench.report.console import console, table


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    calls: int = 1,
    prepare: Callable[[], object] | None = None,
) -> dict[str, list[float]]:
    """Seconds per call of each contender in each of `rounds` rounds, after one round that is not counted.

    prepare runs before each contender's turn, unmeasured (a forward and backward pass, to leave the caches as they
    are in training).
    """
    timers = {name: timeit.Timer(contender, timer=clock) for name, contender in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, timer in timers.items():
            if prepare is not None:
                prepare()
            measured = timer.timeit(calls)
            if i:
                seconds[name].append(measured / calls)
    return seconds


def clock() -> float:
    """Seconds, when all that a GPU was asked for is done. (torch.utils.benchmark looks for a CUDA compiler, aloud.)"""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return timeit.default_timer()


def show(title: str, seconds: Mapping[str, list[float]], against: str, note: str = "") -> None:
    """Median time of each, and the median over rounds of its ratio to `against`, with the extremes."""
    shown = table(title)
    for column in ("", "median ms", f"ratio to {against}", "min", "max"):
        shown.add_column(column, justify="left" if not column else "right")
    for name, values in seconds.items():
        ratios = [v / base for v, base in zip(values, seconds[against], strict=True)]
        shown.add_row(
            name,
            f"{statistics.median(values) * 1e3:.3f}",
            *(f"{f(ratios):.3f}" for f in (statistics.median, min, max)),
        )
    out = console()
    out.print(shown)
    if note:
        out.print(note)

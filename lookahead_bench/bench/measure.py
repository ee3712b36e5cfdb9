"""Interleaved timing: every contender has its turn in every round, so a drift of the machine meets all alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from torch.utils.benchmark import Timer

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
    import torch

    threads = torch.get_num_threads()
    timers = {
        name: Timer("f()", globals={"f": contender}, num_threads=threads) for name, contender in contenders.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, timer in timers.items():
            if prepare is not None:
                prepare()
            measured = timer.timeit(calls)
            if i:
                seconds[name].append(measured.mean)
    return seconds


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

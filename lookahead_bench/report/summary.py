"""What a run prints when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from lookahead_bench.notices import say
from lookahead_bench.report.console import console
from lookahead_bench.report.console import table as empty_table
from lookahead_bench.runs.run import RunResult


def tell(results: Sequence[RunResult], *, table: bool) -> None:
    """What came of one configuration: a table, or a line; of replicas a line of counts."""
    if len(results) > 1:
        counts = (
            f"{sum(r.status == 'done' for r in results)} done, {sum(r.status == 'diverged' for r in results)} diverged"
        )
        skipped = sum(r.skipped for r in results)
        say(f"{len(results)} replicas: {counts}, {skipped} had been there; e.g. {line(results[0])}")
    elif table:
        show(results[0])
    else:
        say(line(results[0]))


def show(result: RunResult) -> None:
    """A small table: final scores of every split and kind of weights, the best one, the cost, where the files are."""
    record = result.record
    note = " (had been finished before; force=true repeats it)" if result.skipped else ""
    out = console()
    out.print(f"{result.run_id}: {result.status}{note}", style="bold")
    shown = empty_table()
    metrics = list(dict.fromkeys(m for kinds in result.final.values() for scores in kinds.values() for m in scores))
    shown.add_column("split")
    shown.add_column("weights")
    for metric in metrics:
        shown.add_column(metric, justify="right")
    for split, kinds in result.final.items():
        for weights, scores in kinds.items():
            shown.add_row(split, weights, *(f"{float(scores[m]):.4g}" if m in scores else "" for m in metrics))
    out.print(shown)
    if result.best:
        best = result.best
        out.print(
            f"best {best['split']} {best['metric']}: {best['value']:.4g} "
            f"({best['weights']} weights, step {best['step']:,})"
        )
    rate = record.get("samples_per_s")
    out.print(
        f"{record['step']:,} steps, {record['oracle_calls']:,} oracle calls, {record['samples']:,} samples"
        + (f", {rate:,.0f} samples/s" if rate else "")
        + f"; seconds: train {record['seconds']['train']:.1f}, "
        f"eval {record['seconds']['eval']:.1f}, io {record['seconds']['io']:.1f}"
    )
    out.print(f"files: {result.path}", soft_wrap=True)


def line(result: RunResult) -> str:
    """One line for a run of a sweep."""
    best = result.best
    score = f" best {best['split']} {best['metric']} {best['value']:.4g} at step {best['step']}" if best else ""
    return f"{result.run_id}: {result.status}{score}{' (skipped)' if result.skipped else ''}"

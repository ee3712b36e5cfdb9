"""What a run prints when it ends."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from lookahead_bench.runs.run import RunResult


def show(result: RunResult) -> None:
    """A small table: final scores of every split and kind of weights, the best one, the cost, and where the files are."""
    record = result.record
    note = " (had been finished before; force=true repeats it)" if result.skipped else ""
    table = Table(title=f"{result.run_id}: {result.status}{note}", title_justify="left", title_style="bold")
    metrics = list(dict.fromkeys(m for kinds in result.final.values() for scores in kinds.values() for m in scores))
    table.add_column("split")
    table.add_column("weights")
    for metric in metrics:
        table.add_column(metric, justify="right")
    for split, kinds in result.final.items():
        for weights, scores in kinds.items():
            table.add_row(split, weights, *(f"{float(scores[m]):.4g}" if m in scores else "" for m in metrics))
    console = Console()
    console.print(table)
    if result.best:
        best = result.best
        console.print(f"best {best['split']} {best['metric']}: {best['value']:.4g} "
                      f"({best['weights']} weights, step {best['step']:,})", highlight=False)
    rate = record.get("samples_per_s")
    console.print(
        f"{record['step']:,} steps, {record['oracle_calls']:,} oracle calls, {record['samples']:,} samples"
        + (f", {rate:,.0f} samples/s" if rate else "") + f"; seconds: train {record['seconds']['train']:.1f}, "
        f"eval {record['seconds']['eval']:.1f}, io {record['seconds']['io']:.1f}", highlight=False)
    console.print(f"files: {result.path}", highlight=False, soft_wrap=True)


def line(result: RunResult) -> str:
    """One line for a run of a sweep."""
    best = result.best
    score = f" best {best['split']} {best['metric']} {best['value']:.4g} at step {best['step']}" if best else ""
    return f"{result.run_id}: {result.status}{score}{' (skipped)' if result.skipped else ''}"

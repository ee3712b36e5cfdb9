"""`lookahead-bench status`: every run, and what it is doing."""

from __future__ import annotations

from lookahead_bench.report.console import console, table
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.results import believed, run_directories, status_of


def show(results_dir: str) -> None:
    """A line a run: status, steps, best score; and the counts. Damaged runs are left out with a warning each."""
    directories = [directory for directory in run_directories(results_dir) if believed(directory)]
    out = console()
    if not directories:
        out.print(f"no runs in {results_dir} (results_dir=DIR looks elsewhere)")
        return
    shown = table()
    for column in ("run", "status", "step", "best", "train s"):
        shown.add_column(column, justify="left" if column in ("run", "status") else "right", no_wrap=column == "run")
    counts: dict[str, int] = {}
    for directory in directories:
        record, status = read_json(directory / "run.json") or {}, status_of(directory)
        counts[status] = counts.get(status, 0) + 1
        best = record.get("best")
        score = f"{best['split']} {best['metric']} {best['value']:.4g}" if best else ""
        seconds = record.get("seconds", {}).get("train", 0.0)
        shown.add_row(directory.name, status, f"{record.get('step', 0):,}", score, f"{seconds:.1f}")
    out.print(shown)
    out.print(", ".join(f"{n} {status}" for status, n in sorted(counts.items())))

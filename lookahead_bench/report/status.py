"""`lookahead-bench status`: every run, and what it is doing."""

from __future__ import annotations

from lookahead_bench.report.console import console, table
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.results import believed, run_directories
from lookahead_bench.runs.store import in_study, status_of


def show(results_dir: str, study: str | None = None) -> None:
    """A line a run, of all or of a study: status, steps, best score; and the counts.

    Damaged runs are left out with a warning each. Of an experiment it is known what is missing.
    """
    planned = planned_ids(study, results_dir) if study else []
    directories = [
        directory
        for directory in run_directories(results_dir)
        if (study is None or directory.name in planned or in_study(read_json(directory / "run.json") or {}, study))
        and believed(directory)
    ]
    out = console()
    if not directories and not planned:
        of = f" of study {study}" if study else ""
        out.print(f"no runs{of} in {results_dir} (results_dir=DIR looks elsewhere)")
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
    missing = set(planned) - {directory.name for directory in directories}
    counts |= {"missing": len(missing)} if missing else {}
    out.print(shown)
    out.print(", ".join(f"{n} {status}" for status, n in sorted(counts.items())))


def planned_ids(study: str, results_dir: str) -> list[str]:
    """The runs that the experiment of this name is made of; none where there is no such experiment."""
    from lookahead_bench.configuration.files import options

    if not any(one == study or one.startswith(f"{study}/") for one in options("experiment")):
        return []
    from lookahead_bench.studies import Study

    return [one.run_id for one in Study.named(study, [f"results_dir={results_dir}"]).runs()]

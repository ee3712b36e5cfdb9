"""`lookahead-bench status`: what every run is doing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from lookahead_bench.report.console import console, table
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.lock import Lock
from lookahead_bench.runs.progress import State, words
from lookahead_bench.runs.store import FINISHED, believed, in_study, run_directories

LINES = 40  # runs that have a line each; of more, those that have come to a result are put together
SEED = re.compile(r"-s\d+-[0-9a-f]+$")


def show(results_dir: str, study: str | None = None) -> None:
    """What is being done, has stopped or has failed, a line a run; what has a result; and the counts.

    Damaged runs are left out with a warning each. Of an experiment it is known what is missing.
    """
    planned = planned_ids(study, results_dir) if study else []
    taken = (lock.parent for lock in Path(results_dir, "runs").glob("*/run.lock") if Lock(lock).held_by_another())
    states = {
        directory.name: State.of(directory)
        for directory in sorted({*run_directories(results_dir), *taken})
        if (study is None or directory.name in planned or in_study(read_json(directory / "run.json") or {}, study))
        and believed(directory)
    }
    out = console()
    if not states and not planned:
        of = f" of study {study}" if study else ""
        out.print(f"no runs{of} in {results_dir} (results_dir=DIR looks elsewhere)")
        return
    shown = table()
    for column in ("run", "status", "progress", "left", ""):
        shown.add_column(column, justify="right" if column in ("progress", "left") else "left", overflow="fold")
    finished = {name: state for name, state in states.items() if state.status in FINISHED}
    for name, state in states.items():
        if state.status not in FINISHED or len(states) <= LINES:
            progress = "" if state.status in FINISHED else f"{state.progress:.0%}"
            shown.add_row(name, state.status, progress, "" if state.left is None else words(state.left), note(state))
    if len(states) > LINES:
        together = Counter((SEED.sub("", name), state.status) for name, state in finished.items())
        for (kind, status), count in together.items():
            shown.add_row(f"{kind} x {count:,}", status, "", "", "")
    counts = Counter(state.status for state in states.values())
    counts += Counter(missing=len(set(planned) - states.keys()))
    out.print(shown)
    out.print(", ".join(f"{n} {status}" for status, n in sorted(counts.items())))


def note(state: State) -> str:
    """Who has it, why it has failed, or what its best score is."""
    if state.owner:
        return state.owner
    if state.status == "failed":
        return (str(state.record.get("error", "")).splitlines() or [""])[0][:200]
    best = state.record.get("best")
    seconds = words(state.record.get("seconds", {}).get("train", 0.0))
    return f"best {best['split']} {best['metric']} {best['value']:.4g}, trained {seconds}" if best else ""


def planned_ids(study: str, results_dir: str) -> list[str]:
    """The runs that the experiment of this name is made of; none where there is no such experiment."""
    from lookahead_bench.configuration.files import options

    if not any(one == study or one.startswith(f"{study}/") for one in options("experiment")):
        return []
    from lookahead_bench.studies import Study

    return [one.run_id for one in Study.named(study, [f"results_dir={results_dir}"]).runs()]

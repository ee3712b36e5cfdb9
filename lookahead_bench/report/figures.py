"""`lookahead-bench figures`: run what is missing of a study, then draw it from the stored results alone.

A figure NAME is a module `lookahead_bench/report/theory/NAME.py` with `draw(frame) -> Figure` and, where there is a
closed form, `compare(frame) -> list[Comparison]`; its study is every `conf/experiment/theory/NAME/*.yaml`. Nothing
else lists them.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lookahead_bench import config as configuration
from lookahead_bench.compose import jobs, options
from lookahead_bench.config import Config
from lookahead_bench.errors import ConfigError, DataError
from lookahead_bench.report.console import console
from lookahead_bench.targets import nearest

GROUP = "theory"
MOST_WORKERS = 8  # each holds a torch of its own


def figures() -> dict[str, list[str]]:
    """Each figure's name and the experiments of its study."""
    found: dict[str, list[str]] = {}
    for experiment in options("experiment"):
        group, _, rest = experiment.partition("/")
        if group == GROUP:
            found.setdefault(rest.split("/")[0], []).append(experiment)
    return found


def planned(experiment: str, values: Mapping[str, str]) -> list[Config]:
    """The checked configurations of one experiment's jobs."""
    jobs_of = jobs([f"experiment={experiment}"])
    assert jobs_of is not None
    common = ["tracker=none", "gpu=cpu", *(f"{key}={value}" for key, value in values.items())]
    return [configuration.load([*job, *common]) for job in jobs_of]


def draw(names: Sequence[str], values: Mapping[str, str]) -> None:
    """Write <results_dir>/figures/NAME.pdf and .png for the named figures, or for all; several at a time.

    Errors: ConfigError for a name that is none; DataError, after the others are drawn, where data are missing.
    """
    known = figures()
    names = list(dict.fromkeys(name.removeprefix(f"{GROUP}/") for name in names)) or list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"figures {name}: no such figure{nearest(name, known)} (figures: {', '.join(known)})")
    workers = min(len(names), available_cores(), MOST_WORKERS)
    if workers == 1:
        outcomes: Iterable[tuple[str, bool]] = (attempt(name, values) for name in names)
        missing = report(outcomes)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            missing = report(pool.map(attempt, names, [dict(values)] * len(names)))
    if missing:
        raise DataError("; ".join(missing))


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def report(outcomes: Iterable[tuple[str, bool]]) -> list[str]:
    """Print what was drawn; returns what could not be."""
    missing = []
    for words, drawn in outcomes:
        if drawn:
            console().print(words, soft_wrap=True)
        else:
            missing.append(words)
    return missing


def attempt(name: str, values: Mapping[str, str]) -> tuple[str, bool]:
    """Run what is missing of one figure's study and draw it: (what was written, True) or (what was missing, False)."""
    start = time.perf_counter()
    study = [(experiment, config) for experiment in figures()[name] for config in planned(experiment, values)]
    try:
        done = run_missing([config for _, config in study])
    except DataError as error:  # the other figures need none
        return f"{name}: {error}", False
    directory = Path(values["results_dir"]) / "figures"
    directory.mkdir(parents=True, exist_ok=True)
    words = draw_one(name, study, values["results_dir"], directory)
    return f"{words}  ({done} runs done now, {time.perf_counter() - start:.1f} s)", True


def run_missing(study: Sequence[Config]) -> int:
    """Do what is not done yet; returns how many runs that were."""
    from lookahead_bench.runs.run import execute

    return sum(not result.skipped for config in study for result in execute(config))


def draw_one(name: str, study: Sequence[tuple[str, Config]], results_dir: str, directory: Path) -> str:
    """Draw one figure, and compare its numbers with their closed forms; returns what was written and found.

    Both from the rows of its study's runs alone; the column `part` names the experiment's file.
    """
    import matplotlib.pyplot as plt

    from lookahead_bench.report import plotting
    from lookahead_bench.report.comparison import as_frame
    from lookahead_bench.report.tables import save
    from lookahead_bench.runs.results import load_results

    part = {one.run_id: experiment.split("/")[-1] for experiment, config in study for one in config.seeds()}
    frame = load_results(results_dir, only=part)
    frame.insert(1, "part", frame["run_id"].map(part))
    module = importlib.import_module(f"lookahead_bench.report.{GROUP}.{name}")
    with plt.rc_context(plotting.STYLE):
        words = f"{plotting.save(module.draw(frame), directory / name)[1]} .pdf"
    if hasattr(module, "compare"):
        found = module.compare(frame)
        save(directory / name, as_frame(found))
        words += f" .md .csv .tex: {sum(one.agrees for one in found)} of {len(found)} closed forms met"
    return words

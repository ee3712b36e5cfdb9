"""`lookahead-bench figures`: run what is missing of a study, then draw it from the stored results alone.

A figure NAME is a module `lookahead_bench/report/theory/NAME.py` with `draw(frame) -> Figure` and, where there is a
closed form, `compare(frame) -> list[Comparison]`; its study is every `conf/experiment/theory/NAME/*.yaml`. Nothing
else lists them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path

from lookahead_bench.configuration.files import options
from lookahead_bench.configuration.targets import nearest
from lookahead_bench.errors import ConfigError, DataError, RunError
from lookahead_bench.report.console import console
from lookahead_bench.studies import Study, succeeded

GROUP = "theory"


def figures() -> list[str]:
    """The names of the figures."""
    return sorted({one.split("/")[1] for one in options("experiment") if one.startswith(f"{GROUP}/")})


def draw(names: Sequence[str], overrides: Sequence[str]) -> None:
    """Write <results_dir>/figures/NAME.pdf and .png for the named figures, or for all.

    overrides: for every run, such as results_dir=DIR or hydra/launcher=joblib.
    Errors: ConfigError for a name that is none; after the others are drawn, DataError where data are missing, RunError
    where runs have failed.
    """
    known = figures()
    names = list(dict.fromkeys(name.removeprefix(f"{GROUP}/") for name in names)) or known
    for name in names:
        if name not in known:
            raise ConfigError(f"figures {name}: no such figure{nearest(name, known)} (figures: {', '.join(known)})")
    lacking = []
    for name in names:
        start = time.perf_counter()
        study = Study.named(f"{GROUP}/{name}", ["tracker=none", *overrides])
        try:
            done = len(study.missing_runs())
            study.require_data()
            if not succeeded(study.run(quiet=True)):
                raise RunError("a run has failed")
        except (DataError, RunError) as error:  # the other figures need none of this
            lacking.append(type(error)(f"{name}: {error}"))
            continue
        words = draw_one(name, study)
        took = time.perf_counter() - start
        console().print(f"{words}  ({done} runs done now, {took:.1f} s)", soft_wrap=True)
    if lacking:
        raise type(lacking[0])("; ".join(map(str, lacking)))


def draw_one(name: str, study: Study) -> str:
    """Draw one figure, and compare its numbers with their closed forms; returns what was written and found.

    Both from the rows of its study's runs alone; the column `part` names the experiment's file.
    """
    import matplotlib.pyplot as plt

    from lookahead_bench.report import plotting
    from lookahead_bench.report.comparison import as_frame
    from lookahead_bench.report.tables import save
    from lookahead_bench.runs.results import load_results

    part = {one.run_id: one["study"].split("/")[-1] for one in study.runs()}
    results_dir = next(study.runs())["results_dir"]
    frame = load_results(results_dir, only=part)
    frame.insert(1, "part", frame["run_id"].map(part))
    directory = Path(results_dir) / "figures"
    directory.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"lookahead_bench.report.{GROUP}.{name}")
    with plt.rc_context(plotting.STYLE):
        words = f"{plotting.save(module.draw(frame), directory / name)} .pdf"
    if hasattr(module, "compare"):
        found = module.compare(frame)
        save(directory / name, as_frame(found))
        words += f" .md .csv .tex: {sum(one.agrees for one in found)} of {len(found)} closed forms met"
    return words

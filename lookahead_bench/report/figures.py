"""`lookahead-bench figures`: run what is missing of a study, then draw it from what its runs have left.

A figure GROUP/NAME is a module `lookahead_bench/report/GROUP/NAME.py` with `draw(frame) -> Figure` and, where there is
a closed form, `compare(frame) -> list[Comparison]`; its study is every `conf/experiment/GROUP/NAME/*.yaml`. Nothing
else lists them. Without names those of the theory are drawn, which are called by their NAME alone.
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

GROUP = "theory"  # of figures that are called by their name alone


def figures() -> list[str]:
    """The names of the figures, e.g. ["bilinear_batch", ..., "gan/mnist", ...]: first those of the theory."""
    folders = {one.rpartition("/")[0] for one in options("experiment") if one.count("/") == 2}
    return sorted((one.removeprefix(f"{GROUP}/") for one in folders), key=lambda name: ("/" in name, name))


def draw(names: Sequence[str], overrides: Sequence[str]) -> None:
    """Write <results_dir>/figures/NAME.pdf and .png (GROUP-NAME) for the named figures, or for all of the theory.

    overrides: for every run, such as results_dir=DIR or hydra/launcher=joblib.
    Errors: ConfigError for a name that is none; after the others are drawn, DataError where data are missing, RunError
    where runs have failed.
    """
    known = figures()
    wanted = [name.removeprefix(f"{GROUP}/") for name in names] or [name for name in known if "/" not in name]
    names = list(dict.fromkeys(wanted))
    for name in names:
        if name not in known:
            raise ConfigError(f"figures {name}: no such figure{nearest(name, known)} (figures: {', '.join(known)})")
    lacking = []
    for name in names:
        start = time.perf_counter()
        study = Study.named(full(name), ["tracker=none", *overrides])
        try:
            done = len(study.missing_runs())
            study.require_data()
            if not succeeded(study.run(quiet=True)):
                raise RunError("a run has failed")
            words = draw_one(name, study)
        except (DataError, RunError) as error:  # the other figures need none of this
            lacking.append(type(error)(f"{name}: {error}"))
            continue
        took = time.perf_counter() - start
        console().print(f"{words}  ({done} runs done now, {took:.1f} s)", soft_wrap=True)
    if lacking:
        raise type(lacking[0])("; ".join(map(str, lacking)))


def full(name: str) -> str:
    """With its group."""
    return name if "/" in name else f"{GROUP}/{name}"


def draw_one(name: str, study: Study) -> str:
    """Draw one figure, and compare its numbers with their closed forms; returns what was written and found.

    Both from its study's runs alone: their rows, with the columns `part` (its experiment's last name), `config` and
    `directory`.
    """
    import matplotlib.pyplot as plt

    from lookahead_bench.report import plotting
    from lookahead_bench.report.comparison import as_frame
    from lookahead_bench.report.tables import save
    from lookahead_bench.runs.results import load_results

    config = {one.run_id: one for one in study.runs()}
    results_dir = next(iter(config.values()))["results_dir"]
    part = {run_id: one["study"].split("/")[-1] for run_id, one in config.items()}
    frame = load_results(results_dir, only=config)
    frame.insert(1, "part", frame["run_id"].map(part))
    frame.insert(2, "config", frame["run_id"].map(config))
    frame.insert(3, "directory", results_dir + "/runs/" + frame["run_id"])
    stem = Path(results_dir, "figures", name.replace("/", "-"))
    stem.parent.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"lookahead_bench.report.{full(name).replace('/', '.')}")
    with plt.rc_context(plotting.STYLE):
        words = f"{plotting.save(module.draw(frame), stem)} .pdf"
    if hasattr(module, "compare"):
        found = module.compare(frame)
        save(stem, as_frame(found))
        words += f" .md .csv .tex: {sum(one.agrees for one in found)} of {len(found)} closed forms met"
    return words

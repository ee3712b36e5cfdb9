"""`report` over a store of 10,000 runs of 370 rows each, and what of it is reading a line a run."""

from __future__ import annotations

import contextlib
import io
import json
import math
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config
from lookahead_bench.configuration.compose import loader
from lookahead_bench.report.console import console, table
from lookahead_bench.runs.store import RunDirectory, mark_of

METHODS = ("sgd", "lookahead", "multilayer", "adamw", "radam", "polyak", "ema", "snoo")
RATES, SEEDS = 25, 50  # of each method: 10,000 runs
STEPS, EVALUATIONS = 330, 40  # of each run: 370 rows, of training and of evaluation
SPLITS = ("val", "test")
ROUNDS = 3


def main(values: Mapping[str, str]) -> None:
    """Print seconds and peak memory of a fresh process for each: medians of three, of a store in the page cache."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        count = fill(scratch)
        out = console()
        out.print(f"a store of {count:,} runs, written in {time.perf_counter() - start:.0f} s")
        shown = table("each in a process of its own")
        for column in ("", "seconds", "of the processor", "peak memory MiB", "asked"):
            shown.add_column(column, justify="right" if column else "left")
        for name, work, asked in (
            ("a line a run (load_runs)", read, ""),
            ("lookahead-bench report", report, "5 s, 1 GiB"),
        ):
            found = zip(*(measured(work, scratch) for _ in range(ROUNDS)), strict=True)
            shown.add_row(
                name,
                *(f"{statistics.median(of):.{digits}f}" for of, digits in zip(found, (2, 2, 0), strict=True)),
                asked,
            )
        out.print(shown)


def read(results_dir: str) -> None:
    from lookahead_bench.runs.results import load_runs

    load_runs(results_dir)


def report(results_dir: str) -> None:
    from lookahead_bench.cli import command

    command(["report", f"results_dir={results_dir}"])


def measured(work: Callable[[str], None], results_dir: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor and MiB of a new interpreter that does this."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    start = time.perf_counter()
    process = context.Process(target=life, args=(work, results_dir, theirs))
    process.start()
    process.join()
    return time.perf_counter() - start, *ours.recv()


def life(work: Callable[[str], None], results_dir: str, answer: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        work(results_dir)
    used = resource.getrusage(resource.RUSAGE_SELF)
    answer.send((used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))


# ------------------------------------------------------------------------------------------------------------ the store


def fill(results_dir: str, methods: tuple[str, ...] = METHODS, rates: int = RATES, seeds: int = SEEDS) -> int:
    """Write finished runs as a sweep over methods, rates and seeds would leave them; gives their number.

    The scores rise towards a level that depends on the rate, and on the seed a little.
    """
    count, composing = 0, loader()
    for method in methods:
        for i in range(rates):
            rate = 10 ** (-3 + 3 * i / max(1, rates - 1))
            config = configuration.load(
                [f"optimizer={method}", f"optimizer.lr={rate:.4g}", f"replicas={seeds}", f"results_dir={results_dir}",
                 "tracker=none", "study=rates"],
                composing,
            )  # fmt: skip
            kinds = ("fast",) if method in ("sgd", "adamw", "radam") else ("fast", "slow")
            for one in config.seeds():
                level = 0.95 - 0.05 * abs(math.log10(rate) + 1.5 + 0.1 * len(method)) + 0.002 * math.sin(one["seed"])
                write(one, level, kinds)
                count += 1
    return count


def write(config: Config, level: float, kinds: tuple[str, ...]) -> None:
    """One run's directory."""
    directory = RunDirectory(config)
    directory.path.mkdir(parents=True)
    text, shares = rows(kinds)
    accuracies = [level * share for share in shares]
    metrics = (text % tuple(value for accuracy in accuracies for value in (2 * (1 - accuracy), accuracy))).encode()
    scores = {"loss": 2 * (1 - level), "accuracy": level}
    best = {"metric": "accuracy", "value": level, "split": "val", "weights": kinds[-1], "step": STEPS}
    record = {
        "run_id": config.run_id, "status": "done", "metric": "accuracy", "direction": "max",
        "final": {split: dict.fromkeys(kinds, scores) for split in SPLITS}, "best": best,
        **position(STEPS), "samples_per_s": 12345.6, "studies": [config["study"]],
        "seconds": {"train": 1.5, "eval": 0.25, "io": 0.125}, "git_revision": "0123456789ab",
        "command_line": "lookahead-bench -m dataset=digits ...", **mark_of(metrics),
    }  # fmt: skip
    for path, data in (directory.config_file(), directory.record_file(record), (directory.metrics_path, metrics)):
        path.write_bytes(data)


@lru_cache
def rows(kinds: tuple[str, ...]) -> tuple[str, list[float]]:
    """The rows of every run with these kinds of weights, without their scores, and each one's share of the last."""
    scored = [(split, kind) for split in SPLITS for kind in kinds]
    last = EVALUATIONS // len(scored) - 1
    evaluated = {round(i * STEPS / last) for i in range(last + 1)}
    places = []
    for step in range(STEPS + 1):
        places += [(step, "train", "fast")] if step else []
        places += [(step, *one) for one in scored] if step in evaluated else []
    heads = [json.dumps({**position(step), "split": split, "weights": kind}) for step, split, kind in places]
    lines = [f'{head[:-1]}, "loss": %r, "accuracy": %r}}\n' for head in heads]
    return "".join(lines), [1 - 0.9 * (1 - step / STEPS) ** 3 for step, _, _ in places]


def position(step: int) -> dict[str, float]:
    return {"step": step, "oracle_calls": step, "samples": 32 * step, "epoch": step / 45, "seconds": step / 220}

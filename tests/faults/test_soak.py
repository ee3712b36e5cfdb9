"""200 tiny runs with faults from all groups: the table in the end is that of a store that nothing has happened to."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from test_damage import DAMAGES
from tiny_runs import before, die_before, start

from lookahead_bench import configuration, load_results
from lookahead_bench.cli import command
from lookahead_bench.configuration import Config
from lookahead_bench.errors import RunError
from lookahead_bench.runs.check import check
from lookahead_bench.runs.checkpoint import generations
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.run import execute
from lookahead_bench.runs.store import RunDirectory

pytestmark = [pytest.mark.fault("soak"), pytest.mark.long]

SHORT = ["max_steps=20", "tracker=none"]
TASKS = {
    "digits": ["model.hidden=[8]", *SHORT],
    "quadratic": ["dataset=quadratic", *SHORT],
    "quadratic_game": ["dataset=quadratic_game", *SHORT],
    "polar_game": ["dataset=polar_game", *SHORT],
}
OPTIMIZERS = [
    ["optimizer=sgd"],
    ["optimizer=lookahead", "optimizer.k=3"],
    ["optimizer=la_eg"],
    ["optimizer=multilayer"],
    ["optimizer=sgd", "optimizer.lr=1e30"],  # diverges on most tasks
]
SEEDS = 10

# ------------------------------------------------------------------------------------ what happens to a living process


def dies(chance: random.Random) -> Callable[[], None]:
    return partial(die_before, chance.randrange(1, 120))


def is_asked_to_stop(chance: random.Random) -> Callable[[], None]:
    number = chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
    return partial(before_once, chance.randrange(1, 120), "signal", number)


def meets_a_full_disk(chance: random.Random) -> Callable[[], None]:
    return partial(before_once, chance.randrange(1, 120), "disk", chance.choice([0, 300, 3000]))


def before_once(operation: int, kind: str, value: int) -> None:
    before(operation, partial(os.kill, os.getpid(), value) if kind == "signal" else partial(fill_disk, value))


def fill_disk(limit: int) -> None:
    """From now on no file grows beyond so many bytes, and this operation fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


LIVES = [dies, dies, is_asked_to_stop, meets_a_full_disk]

# --------------------------------------------------------------------------------- what happens to what has been stored


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def a_file_is_damaged(directory: Path, chance: random.Random) -> None:
    """Not the best weights, which a run that has gone past them cannot write again: `check` says so."""
    found = [path for path in files(directory) if not path.name.startswith("best.pt")]
    DAMAGES[chance.choice(["truncated", "empty", "random", "gone"])](chance.choice(found))


def the_newest_checkpoint_has_another_bit(directory: Path, chance: random.Random) -> None:
    for path in generations(directory / "checkpoints")[-1:]:
        if path.stat().st_size:
            DAMAGES["one bit"](path)


def rows_are_lost(directory: Path, chance: random.Random) -> None:
    path = directory / "metrics.jsonl"
    if path.exists():
        os.truncate(path, chance.randrange(path.stat().st_size + 1))


def rows_are_edited(directory: Path, chance: random.Random) -> None:
    path = directory / "metrics.jsonl"
    if path.exists() and (lines := path.read_text(errors="replace").splitlines(keepends=True)):
        i = chance.randrange(len(lines))
        lines[i : i + 1] = chance.choice([[], [lines[i]] * 2, [lines[i].replace("1", "2")], ['{"step": 1}\n']])
        path.write_text("".join(lines))


def the_record_lies(directory: Path, chance: random.Random) -> None:
    record = read_json(directory / "run.json") or {}
    if record.get("status") not in ("done", "diverged"):
        (directory / "run.json").write_text(
            chance.choice(["[]", "{}", '{"status": "running"}', '{"status": 3}', "nul"])
        )


def it_is_copied(directory: Path, chance: random.Random) -> None:
    other = directory.with_name(directory.name + "-copy")
    if not other.exists():
        shutil.copytree(directory, other)


def it_is_gone(directory: Path, chance: random.Random) -> None:
    shutil.rmtree(directory)


def half_a_file_is_left(directory: Path, chance: random.Random) -> None:
    (directory / f".run.json.{chance.randrange(10**5)}.part").write_text("{")


STORED = [a_file_is_damaged, a_file_is_damaged, the_newest_checkpoint_has_another_bit, rows_are_lost, rows_are_edited,
          the_record_lies, it_is_copied, it_is_gone, half_a_file_is_left]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ the soak


def plans(results: Path) -> list[Config]:
    """20 configurations of 10 seeds each; half of the toy ones go in pairs of replicas."""
    found = []
    for i, (task, optimizer) in enumerate((t, o) for t in TASKS.values() for o in OPTIMIZERS):
        config = configuration.load([*task, *optimizer, f"results_dir={results}"])
        width = 1 + i % 2
        found += [replace(config.with_seed(s), nodes={**config.with_seed(s).nodes, "replicas": width})
                  for s in range(1, SEEDS + 1, width)]  # fmt: skip
    return found


def troubled(config: Config, chance: random.Random, output: Path) -> int:
    """A run that meets one to three faults, and is then let be; gives the number of those that it has felt."""
    felt = 0
    directories = [RunDirectory(one).path for one in config.seeds()]
    for _ in range(chance.randrange(1, 4)):
        present = [path for path in directories if path.exists() and files(path)]
        if present and chance.random() < 0.4:
            chance.choice(STORED)(chance.choice(present), chance)
            felt += 1
            continue
        process = start(config, output, prepare=chance.choice(LIVES)(chance))
        if chance.random() < 0.2:  # two at once, one of which is killed at a random moment
            second = start(config, output.with_suffix(".second"))
            time.sleep(chance.uniform(0.0, 0.3))
            second.kill()
            second.join()
            felt += second.exitcode == -signal.SIGKILL
        process.join(120)
        assert process.exitcode is not None
        felt += process.exitcode != 0  # else it had ended before
    try:
        execute(config)
    except RunError:  # one line asks for a decision: edited, or of another configuration
        execute(Config({**config.nodes, "force": True}))
    return felt


def table(results: Path) -> tuple[str, dict[str, str]]:
    """Everything but what time, and the machine's speed, decide."""
    frame = load_results(results).sort_values(["run_id", "step", "split", "weights"], kind="stable")
    timeless = frame.drop(columns=["seconds", "samples_per_s", "git_revision", "replicas"], errors="ignore")
    assert command(["report", f"results_dir={results}"]) == 0
    reports = {}
    for path in sorted((results / "report").glob("*.csv")):
        head, *lines = csv.reader(path.read_text().splitlines())
        keep = [i for i, name in enumerate(head) if "seconds" not in name]
        reports[path.name] = json.dumps([[line[i] for i in keep] for line in (head, *lines)])
    return timeless[sorted(timeless.columns)].to_csv(index=False), reports


def test_200_runs_with_faults_from_all_groups(
    tmp_path: Path, survived: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, faults = random.Random(8), 0
    for config in plans(tmp_path / "calm"):
        execute(config)
    for config in plans(tmp_path / "soaked"):
        faults += troubled(config, chance, tmp_path / "output")
    for copy in (tmp_path / "soaked").glob("runs/*-copy"):
        shutil.rmtree(copy)
    assert len(list((tmp_path / "soaked" / "runs").iterdir())) == 200
    assert check(str(tmp_path / "soaked")) == 0
    for one, other in zip(table(tmp_path / "calm"), table(tmp_path / "soaked"), strict=True):
        assert one == other
    survived(faults)

"""Every command of scripts/*.sh is one that lookahead-bench takes; what they run is tested elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lookahead_bench import configuration
from lookahead_bench.configuration.files import options
from lookahead_bench.report.figures import figures

SCRIPTS = Path(__file__).parents[1] / "scripts"
SCALES = [["cpu"], ["paper"]]
FIRST = {  # the arguments that a script takes before overrides
    "lookahead_2019": SCALES,
    "lookahead_minmax_2021": SCALES,
    "multilayer_lookahead_2021": SCALES,
    "radam_2019": SCALES,
    "rapp_2023": SCALES,
    "small": [["digits"], ["cnn"]],
}


def commands(script: str, first: list[str], directory: Path) -> list[list[str]]:
    """What a script asks of lookahead-bench, in whose place a program notes its arguments."""
    program, notes = directory / "lookahead-bench", directory / "notes"
    notes.unlink(missing_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"}
    overrides = ["results_dir=results", "tracker=none"]
    subprocess.run([SCRIPTS / f"{script}.sh", *first, *overrides], env=environment, check=True, timeout=60)
    lines = [line.split() for line in notes.read_text().splitlines()]
    assert all(line[-2:] == overrides for line in lines)
    return [line[:-2] for line in lines]


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.sh")))
def test_what_a_script_runs_is_there(script: str, tmp_path: Path) -> None:
    for first in FIRST.get(script, [[]]):
        for what, *words in commands(script, first, tmp_path):
            if what == "figures":
                assert set(words) <= set(figures())
                continue
            assert what == "-m"
            experiment, *overrides = words
            assert experiment.removeprefix("experiment=") in options("experiment")
            if any(not one.startswith("scale=") for one in overrides):  # every experiment is composed in test_papers
                configuration.load([one.partition(",")[0] for one in words])
                methods = [one.removeprefix("optimizer=") for one in words if one.startswith("optimizer=")]
                assert {name for names in methods for name in names.split(",")} <= set(options("optimizer"))

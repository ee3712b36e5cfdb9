"""A sweep over finished runs, which are passed over, against Hydra's own sweep over jobs that do nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lookahead_bench.bench.measure import interleaved, show
from lookahead_bench.configuration.files import CONF
from lookahead_bench.runs.run import run

RUNS, ROUNDS = 500, 1
EMPTY = f"""
import hydra
@hydra.main(version_base="1.3", config_path={str(CONF)!r}, config_name="config")
def main(config): pass
main()
"""


def main(values: Mapping[str, str]) -> None:
    """Print both, as whole processes. Hydra composes the same configuration for each of its jobs."""
    with tempfile.TemporaryDirectory() as scratch:
        job = ["dataset=quadratic_game", "optimizer=sgd", "max_steps=1", "tracker=none", f"results_dir={scratch}"]
        run([*job, f"replicas={RUNS}"])
        sweep = ["-m", *job, f"seed=range(1,{RUNS + 1})"]
        empty = Path(scratch, "empty.py")
        empty.write_text(EMPTY)
        commands = {
            "Hydra, empty jobs": [sys.executable, str(empty), *sweep, "model=mlp", "schedule=constant"],
            "finished runs": [sys.executable, "-m", "lookahead_bench", *sweep],
        }
        seconds = interleaved(
            {name: partial(subprocess.run, one, check=True, capture_output=True) for name, one in commands.items()},
            rounds=ROUNDS,
        )
    show(f"a sweep of {RUNS} jobs", seconds, "Hydra, empty jobs", "Asked: at most 1.3.")

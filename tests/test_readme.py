"""Every command that README.md and docs/cluster.md print, and every piece of Python, is run here, as printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny_runs import need, start

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """The pieces of code in this language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(text: str) -> list[str]:
    """The lines of shell that call us, without their comments."""
    lines = "".join(blocks(text, "bash")).splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith("lookahead-bench")]


COMMANDS = commands(README)
CLUSTER = commands((ROOT / "docs" / "cluster.md").read_text())
NEEDS_DATA = ("cifar10", "cifar100")


class Done(NamedTuple):
    code: int
    said: str  # on both streams


def command(line: str, directory: Path) -> Done:
    """The line, as a shell would split it, in a process of its own that has torch already (see `start`)."""
    shell = shlex.split(line)
    assert shell[0] == "lookahead-bench"
    process = start(
        shell[1:], directory / "said", partial(os.chdir, directory), daemon=False, WANDB_MODE="offline",
        LOOKAHEAD_BENCH_CHECKPOINT_SECONDS="600",
    )  # fmt: skip
    process.join(300)
    process.kill()  # where it is still there
    process.join()
    return Done(process.exitcode, (directory / "said").read_text())


def in_a_shell(line: str, directory: Path) -> Done:
    """The line in a shell, with the command of this interpreter's environment first on the path."""
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        line, shell=True, cwd=directory, env=os.environ | path, capture_output=True, text=True, timeout=300, check=False
    )
    return Done(done.returncode, done.stdout + done.stderr)


def shortened(line: str) -> str:
    """The same run with a small budget, where it is a run: what is tested is the line, not the optimizer."""
    if "figures gan/" in line:
        return f"{line} scale=smoke tracker=none max_steps=2 dataset.scored=50"
    is_run = "=" in line or line == "lookahead-bench"
    return f"{line} scale=smoke tracker=none" if is_run and " list " not in line else line


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8
    assert {engine(line) for line in CLUSTER} == {None, "joblib", "slurm", "ray"}


@pytest.mark.parametrize("line", [c for c in COMMANDS if not any(f"dataset={name}" in c for name in NEEDS_DATA)])
def test_command(line: str, tmp_path: Path) -> None:
    if line in ("lookahead-bench report", "lookahead-bench check"):  # of what is stored
        assert command("lookahead-bench scale=smoke tracker=none", tmp_path).code == 0
    done = command(shortened(line), tmp_path)
    assert done.code == 0, done.said
    assert done.said


@pytest.mark.parametrize("line", [c for c in COMMANDS if any(f"dataset={name}" in c for name in NEEDS_DATA)])
def test_command_on_real_data(line: str, tmp_path: Path, real_data: Path) -> None:
    done = command(
        f"{shortened(line)} model=mlp max_steps=1 data_dir={real_data}".replace("seed=1,2,3", "seed=1"), tmp_path
    )
    assert done.code == 0, done.said


def engine(line: str) -> str | None:
    found = re.search(r"hydra/launcher=(\w+)", line)
    return found[1] if found else None


LONG = [pytest.mark.long, pytest.mark.fault("engines")]


@pytest.mark.parametrize(
    "line", [pytest.param(c, marks=LONG if engine(c) in ("slurm", "ray") else ()) for c in CLUSTER]
)
def test_command_of_a_cluster(line: str, tmp_path: Path) -> None:
    if name := engine(line):
        need(name)
    starts_others = engine(line) or "gpu=ddp" in line
    done = (in_a_shell if starts_others else command)(shortened(line), tmp_path)
    assert done.code == 0, done.said
    if "gpu=ddp" in line:
        (record,) = (json.loads(file.read_text()) for file in tmp_path.glob("results/runs/*/run.json"))
        assert (record["status"], record["hardware"]["processes"]) == ("done", 2)
    else:
        assert "4 runs: 4 done" in done.said.splitlines()


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_python(code: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_targets_exist() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for target in ("demo", "test"):
        assert f"make {target}" in README
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)

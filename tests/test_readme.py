"""Every command and every piece of Python that the README prints is run here, as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    if line.startswith("lookahead-bench")
]
NEEDS_DATA = ("cifar10", "cifar100")


def command(line: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """The line in a shell, with the command of this interpreter's environment first on the path."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WANDB_MODE": "offline",
    }
    return subprocess.run(
        line, shell=True, cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def shortened(line: str) -> str:
    """The same run with a small budget, where it is a run: what is tested is the line, not the optimizer."""
    is_run = "=" in line or line == "lookahead-bench" or "figures gan/" in line
    return f"{line} scale=smoke tracker=none" if is_run and " list " not in line else line


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("line", [c for c in COMMANDS if not any(f"dataset={name}" in c for name in NEEDS_DATA)])
def test_command(line: str, tmp_path: Path) -> None:
    if line in ("lookahead-bench report", "lookahead-bench check"):  # of what is stored
        assert command("lookahead-bench scale=smoke tracker=none", tmp_path).returncode == 0
    done = command(shortened(line), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", [c for c in COMMANDS if any(f"dataset={name}" in c for name in NEEDS_DATA)])
def test_command_on_real_data(line: str, tmp_path: Path, real_data: Path) -> None:
    done = command(
        f"{shortened(line)} model=mlp max_steps=1 data_dir={real_data}".replace("seed=1,2,3", "seed=1"), tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", [block for language, block in BLOCKS if language == "python"])
def test_python(code: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_targets_exist() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for target in ("demo", "test"):
        assert f"make {target}" in README
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)

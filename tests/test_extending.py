"""docs/extending.md, executed: its files are written, its commands run, and what they add goes through the whole suite.

It happens in a copy of the checkout, so that `conf/` and the package are the ones that a reader would add to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL)
PARTS = [block.split("\n", 1) for language, block in BLOCKS if language != "bash"]
FILES = {path.removeprefix("# "): text for path, text in PARTS}  # the first line says where
COMMANDS = [line for language, block in BLOCKS if language == "bash" for line in block.splitlines()]
ADDED = ("la_nadam", "usam", "diabetes", "alternation")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout with the files of docs/extending.md in their places."""
    place = tmp_path_factory.mktemp("checkout")
    for folder in ("lookahead_bench", "conf", "docs", "tests"):  # and what is compiled: the tests' asserts take seconds
        shutil.copytree(ROOT / folder, place / folder)
    for name in ("pyproject.toml", "README.md", "Makefile"):
        shutil.copy(ROOT / name, place)
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def in_it(checkout: Path, command: str | list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
    }
    shell = isinstance(command, str)
    return subprocess.run(
        command, shell=shell, cwd=checkout, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


def test_there_are_four_examples() -> None:
    assert len(FILES) == 7
    assert len(COMMANDS) == 7


def test_every_command_runs_as_printed(checkout: Path) -> None:
    for command in COMMANDS:
        done = in_it(checkout, command)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert any(name in done.stdout for name in ADDED), command
    assert "1 of 1 closed forms met" in done.stdout
    again = in_it(checkout, COMMANDS[3])  # the operator outside of the package
    assert "had been finished before" in again.stdout


@pytest.mark.parametrize(
    ("key", "said"),
    [("optimizer.rho=-1", "must be a finite number >= 0"), ("optimizer.rhoo=1", "did you mean 'optimizer.rho'")],
)
def test_an_operator_from_outside_is_validated_without_importing_it(checkout: Path, key: str, said: str) -> None:
    marked = checkout / "mine" / "usam.py"
    marked.write_text(FILES["mine/usam.py"] + "\nraise SystemExit('imported')\n")
    try:
        done = in_it(checkout, f"lookahead-bench 'hydra.searchpath=[file://mine]' optimizer=usam {key}")
    finally:
        marked.write_text(FILES["mine/usam.py"])
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_parametrised_suite_over_what_is_new(checkout: Path) -> None:
    """As if the files of the user's own folder had been added to conf/."""
    for group in ("optimizer", "dataset"):
        shutil.copytree(checkout / "mine" / group, checkout / "conf" / group, dirs_exist_ok=True)
    for module in (checkout / "mine").glob("*.py"):
        shutil.copy(module, checkout)
    # Beside what is parametrised over the files: what looks at all of them at once.
    wholes = ("test_what_has_a_closed_form", "test_studies_and_modules")
    suite = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests", "-k", " or ".join(ADDED + wholes)]
    done = in_it(checkout, [*suite, "--ignore=tests/test_extending.py", "--ignore=tests/data"])
    assert done.returncode == 0, done.stdout[-8000:]
    passed = int(re.findall(r"(\d+) passed", done.stdout)[-1])
    assert passed >= 55, done.stdout[-2000:]  # 21 of the optimizers' contract for each of two

"""The command as a user meets it: times, what is imported, exit statuses, what is printed."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import DIGITS

from lookahead_bench import __version__
from lookahead_bench.cli import command
from lookahead_bench.configuration.files import GROUPS, options

COMMAND = [sys.executable, "-m", "lookahead_bench"]


def process(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The command in a process of its own, and the processor's seconds that it took: others may use the machine."""
    before = os.times()
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)
    after = os.times()
    return done, after.children_user - before.children_user + after.children_system - before.children_system


def test_help_is_quick_and_whole() -> None:
    times = []
    for option in ("--help", "-h", "--help"):
        done, seconds = process(option)
        times.append(seconds)
        assert done.returncode == 0
        for word in ("optimizer=", "dataset=", "scale=", "-m", "list", "report", "status", "results_dir"):
            assert word in done.stdout
    assert statistics.median(times) <= 0.4


@pytest.mark.parametrize(
    "arguments",
    [["optimizer=multilyer"], ["optimizer.lr=-1"], ["optimizer.base._target_=torch.optim.SGDD"], ["-m", "seed=1,-1"]],
    ids=" ".join,
)
def test_a_refusal_is_quick(arguments: list[str]) -> None:
    done, seconds = process(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert seconds < 2


# what is asked -> modules that must not be imported for it
LAZY = {
    "--help": ("torch", "hydra", "omegaconf", "pandas"),
    "--version": ("torch", "hydra", "omegaconf"),
    "list": ("torch", "hydra"),
    "list rapp": ("torch", "hydra"),
    "optimizer.lr=-1": ("torch", "pandas", "wandb"),
    "optimzer=sgd": ("torch", "pandas"),
    "optimizer.base._target_=torch.optim.SGDD": ("torch",),
    "optimizer.base._target_=lookahead_bench.optim.Lookahead": ("torch",),
    "optimizer=alt_gda dataset=bilinear optimizer.order=foo": ("torch",),
    "report --help": ("torch", "pandas", "matplotlib"),
    "--cfg job": ("torch",),
    "status": ("torch", "pandas"),
}


@pytest.mark.parametrize("arguments", LAZY)
def test_what_is_imported(arguments: str, tmp_path: Path) -> None:
    code = (
        "import sys; from lookahead_bench.cli import command; command(sys.argv[2:]);"
        "wrong = [m for m in sys.argv[1].split(',') if m in sys.modules]; "
        "sys.exit(f'imported: {wrong}' if wrong else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, ",".join(LAZY[arguments]), *arguments.split()],
                          capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_finished_run_is_skipped_without_torch(tmp_path: Path) -> None:
    overrides = ["optimizer=sgd", *DIGITS, f"results_dir={tmp_path}"]
    assert command(overrides) == 0
    code = (
        "import sys; from lookahead_bench.cli import command; sys.exit(command(sys.argv[1:]) or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *overrides], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "had been finished" in done.stdout


def test_a_run_prints_a_table_and_where_its_files_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["optimizer=lookahead", *DIGITS, f"results_dir={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    (path,) = tmp_path.glob("runs/*")
    for words in ("done", "accuracy", "slow", "fast", "30 oracle calls", "samples/s", f"files: {path}"):
        assert words in out
    assert err == ""


def test_replicas_are_runs_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["optimizer=sgd", *DIGITS, f"results_dir={tmp_path}"]
    assert command([*overrides, "seed=2"]) == 0
    assert command([*overrides, "replicas=3"]) == 0
    assert "3 replicas: 3 done, 0 diverged, 1 had been there" in capsys.readouterr().out
    assert len(list(tmp_path.glob("runs/*"))) == 3


def test_version_and_cfg(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert command(["--cfg", "job", "optimizer=rapp", "seed=7"]) == 0
    shown = capsys.readouterr().out
    assert "seed: 7" in shown
    assert "relaxation" in shown


@pytest.mark.parametrize("name", ["list", "data", "status", "report", "figures", "sync", "bench"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command([name, "--help"])
    assert ended.value.code in (0, None)
    assert f"lookahead-bench {name}" in capsys.readouterr().out


def test_list_shows_everything_and_explains_every_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["list"]) == 0
    overview = capsys.readouterr().out
    for group in GROUPS:
        assert f"{group}=\n" in overview
        assert all(name in overview for name in options(group))
    for name in options("optimizer"):
        assert command(["list", name]) == 0
        page = capsys.readouterr().out
        assert "source:" in page
        assert "optimizer.lr" in page
    assert command(["list", "adam", "cpu"]) == 0
    page = capsys.readouterr().out
    assert "optimizer.betas        = [0.9,0.999] unless the task says otherwise" in page
    assert "scale=cpu: " in page
    assert "gpu=cpu: " in page


def test_info_is_said_once() -> None:
    done, _ = process("--info", "searchpath")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("Search path") <= 1
    assert "conf" in done.stdout


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(f"{' '.join(COMMAND)} list | head -1", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

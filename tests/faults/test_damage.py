"""Damaged files: what is sound is used, what is not is named, and the numbers stay the same."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DIGITS, assert_same_run, kill, rows, start, steps_saved, timeless, wait_for

from lookahead_bench import load_results, run
from lookahead_bench.cli import command
from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.files import read_json
from lookahead_bench.runs.results import read_metrics, status_of
from lookahead_bench.runs.run import RunResult

pytestmark = pytest.mark.fault("damage")

RUN = ["optimizer=la_eg", *DIGITS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, f"results_dir={tmp_path_factory.mktemp('whole')}"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that was killed after some steps, with two checkpoints."""
    path = tmp_path_factory.mktemp("killed")
    process = start([*RUN, f"results_dir={path}"], path / "output")
    wait_for(lambda: steps_saved(path) > 4)
    kill(process, path)
    while checkpoint.load(newest(path)) is None:  # it was killed while it wrote this one
        newest(path).unlink()
    return path


@pytest.fixture
def results(killed: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(killed, tmp_path / "results"))


def newest(results: Path) -> Path:
    (directory,) = results.glob("runs/*/checkpoints")
    return checkpoint.generations(directory)[-1]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda p: os.truncate(p, p.stat().st_size // 2),
    "empty": lambda p: os.truncate(p, 0),
    "one bit": flip_a_bit,
    "random": lambda p: p.write_bytes(random.Random(1).randbytes(5000)),
    "gone": lambda p: p.unlink(),
    "no digest": lambda p: checkpoint.digest_file(p).unlink(),
    "empty digest": lambda p: checkpoint.digest_file(p).write_text(""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    damage: str, results: Path, whole: RunResult, caplog: pytest.LogCaptureFixture
) -> None:
    bad = newest(results)
    DAMAGES[damage](bad)
    with caplog.at_level(logging.WARNING, "lookahead_bench"):
        resumed = run([*RUN, f"results_dir={results}"])
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ([] if damage == "gone" else [f"{bad} is damaged; going back to the checkpoint before it"])
    assert_same_run(whole, resumed)


def test_all_checkpoints_damaged_starts_over(results: Path, whole: RunResult) -> None:
    for path in checkpoint.generations(newest(results).parent):
        path.write_bytes(b"nothing")
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


def reseal(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Another state in a whole file, as another version would have written it."""
    state = checkpoint.load(path)
    assert state is not None
    change(state)
    checkpoint.save({path: state})


@pytest.mark.parametrize("key", ["optimizer", "step_calls", "metrics_bytes", "together", "keys"])
def test_an_incomplete_checkpoint_is_passed_over_or_refused(
    key: str, results: Path, whole: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Path(shutil.copytree(results, tmp_path / "refused"))
    reseal(newest(results), lambda state: state.pop(key))
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))
    for path in checkpoint.generations(newest(refused).parent):
        if checkpoint.load(path) is not None:
            reseal(path, lambda state: state.pop(key))
    capsys.readouterr()
    assert command([*RUN, f"results_dir={refused}"]) == 1
    assert "force=true begins again" in capsys.readouterr().err.splitlines()[-1]
    assert command([*RUN, f"results_dir={refused}", "force=true"]) == 0


def test_a_state_that_does_not_fit_is_refused_in_one_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reseal(newest(results), lambda state: state["optimizer"].pop("wrappers"))
    assert command([*RUN, f"results_dir={results}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be used by this version" in line
    assert "force=true" in line


def test_another_version_is_told_once_and_recorded(
    results: Path, whole: RunResult, caplog: pytest.LogCaptureFixture
) -> None:
    reseal(newest(results), lambda state: state["code"].update(torch="2.9.0"))
    resumed = run([*RUN, f"results_dir={results}"])
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"torch 2.9.0, now {torch.__version__}" in warning
    assert [made["torch"] for made in resumed.record["earlier_code"]] == ["2.9.0"]
    assert "earlier_code" not in whole.record
    assert_same_run(whole, resumed)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_checkpoint_that_would_run_code_is_refused(
    writer: str, results: Path, whole: RunResult, tmp_path: Path
) -> None:
    bad, marker = newest(results), tmp_path / "marker"
    content = {"run_id": whole.run_id, "step": 99, "metrics_bytes": 0, "task": Payload(marker)}
    with bad.open("wb") as file:
        torch.save(content, file) if writer == "torch" else pickle.dump(content, file)
    digest = __import__("hashlib").sha256(bad.read_bytes()).hexdigest()
    checkpoint.digest_file(bad).write_text(f"{digest}  {bad.name}\n")
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))
    assert not marker.exists()


def test_another_runs_checkpoint_is_not_used(results: Path, whole: RunResult, tmp_path: Path) -> None:
    other = run([*RUN, "seed=2", f"results_dir={tmp_path}/other"])
    (directory,) = results.glob("runs/*/checkpoints")
    for file in (other.path / "checkpoints").glob("step-*"):
        shutil.copy(file, directory)
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


@pytest.mark.parametrize("tail", [b'{"step": 3, "oracle_ca', b"\x00\x00\x00", b'{"step": 3, "loss": 1.0}\n[1]\nnull\n'])
def test_torn_rows_are_dropped_when_read_and_cut_off_when_resumed(tail: bytes, results: Path, whole: RunResult) -> None:
    (metrics,) = results.glob("runs/*/metrics.jsonl")
    sound = len(read_metrics(metrics))
    with metrics.open("ab") as file:
        file.write(tail)
    assert len(read_metrics(metrics)) == sound + (b"loss" in tail)
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


def test_rows_that_a_checkpoint_counts_on_are_lost(results: Path, whole: RunResult) -> None:
    (metrics,) = results.glob("runs/*/metrics.jsonl")
    os.truncate(metrics, 10)
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "runn', "\x00" * 50, "[" * 200_000])
def test_a_damaged_run_json_of_an_unfinished_run(text: str, results: Path, whole: RunResult) -> None:
    (record,) = results.glob("runs/*/run.json")
    record.write_text(text)
    assert status_of(record.parent) == "interrupted"
    assert load_results(results)["status"].unique().tolist() == ["interrupted"]
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


def test_a_damaged_config_yaml_is_left_out_with_a_warning(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = results.glob("runs/*/config.yaml")
    for text in ("scientific: [", "[1]", "scientific: 3"):
        path.write_text(text)
        assert command(["report", f"results_dir={results}"]) == 1
        warning, error = capsys.readouterr().err.splitlines()
        assert f"{path.parent} is left out: its config.yaml is missing or damaged" in warning
        assert "has no runs to report" in error
    assert command(["status", f"results_dir={results}"]) == 0


EARLY: dict[str, Callable[[list[str]], object]] = {
    "a broken line": lambda lines: lines.__setitem__(1, lines[1][:20]),
    "a row without weights": lambda lines: lines.__setitem__(0, '{"step": 0, "split": "val", "loss": 1.0}'),
    "a number that is another": lambda lines: lines.__setitem__(0, lines[0].replace('"loss": 2', '"loss": 1')),
    "a line too few": lambda lines: lines.pop(1),
    "a line twice": lambda lines: lines.insert(1, lines[1]),
}


def rewrite(metrics: Path, damage: Callable[[list[str]], object]) -> None:
    lines = metrics.read_text().splitlines()
    damage(lines)
    before, after = metrics.read_text(), "".join(f"{line}\n" for line in lines)
    assert before != after
    metrics.write_text(after)


@pytest.mark.parametrize("damage", EARLY)
def test_damaged_early_rows_do_not_survive_a_resume(damage: str, results: Path, whole: RunResult) -> None:
    (metrics,) = results.glob("runs/*/metrics.jsonl")
    rewrite(metrics, EARLY[damage])
    assert_same_run(whole, run([*RUN, f"results_dir={results}"]))


LATE: dict[str, Callable[[list[str]], object]] = {"the last row lost": lambda lines: lines.pop(), **EARLY}


@pytest.mark.parametrize("damage", LATE)
def test_a_finished_run_whose_rows_are_not_its_own_is_left_out_and_mended(
    damage: str, whole: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole.path.parent.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "runs" / whole.run_id
    rewrite(path / "metrics.jsonl", LATE[damage])
    for name, code in (("report", 1), ("status", 0)):
        assert command([name, f"results_dir={tmp_path}"]) == code
        said = capsys.readouterr()
        assert f"{path} is left out: its metrics.jsonl is not the one" in said.err.splitlines()[0]
        assert "1 done" not in said.out
    assert command([*RUN, f"results_dir={tmp_path}"]) == 0
    assert f"{path}: its metrics.jsonl is not the one" in capsys.readouterr().err.splitlines()[0]
    mended = run([*RUN, f"results_dir={tmp_path}"])
    assert mended.skipped
    assert_same_run(whole, mended)
    assert len(load_results(tmp_path)) == len(rows(path))


@pytest.mark.parametrize("unsound", ["a row lost", "run.json gone"])
def test_a_damaged_diverged_run_is_not_gone_on_with_from_its_end(unsound: str, tmp_path: Path) -> None:
    overrides = ["optimizer=sgd", "optimizer.lr=1e30", *DIGITS]
    sound = run([*overrides, f"results_dir={tmp_path}/sound"])
    assert sound.status == "diverged"
    damaged = run([*overrides, f"results_dir={tmp_path}/damaged"])
    if unsound == "a row lost":
        rewrite(damaged.path / "metrics.jsonl", lambda lines: lines.pop())
    else:
        (damaged.path / "run.json").unlink()
    assert_same_run(sound, run([*overrides, f"results_dir={tmp_path}/damaged"]))


def test_a_copy_of_a_run_is_not_another_seed(
    whole: RunResult, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole.path.parent.parent, tmp_path, dirs_exist_ok=True)
    copy = Path(shutil.copytree(whole.path, tmp_path / "runs" / whole.run_id.replace("-s1-", "-s2-")))
    assert set(load_results(tmp_path)["run_id"]) == {whole.run_id}
    assert f"{copy} is left out: it is a copy of {whole.run_id}" in caplog.text


def test_runs_of_before_the_digests_are_believed(whole: RunResult, tmp_path: Path) -> None:
    shutil.copytree(whole.path.parent.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "runs" / whole.run_id
    record = {k: v for k, v in whole.record.items() if not k.startswith("metrics_")}
    (path / "run.json").write_text(json.dumps(record))
    rewrite(path / "metrics.jsonl", lambda lines: lines.pop())
    assert len(load_results(tmp_path)) == len(rows(path))
    assert run([*RUN, f"results_dir={tmp_path}"]).skipped


def test_what_a_killed_write_leaves_is_swept_up(results: Path) -> None:
    left = newest(results).with_name(".step-0000000009.pt.1.part")
    left.write_bytes(b"half of it")
    run([*RUN, f"results_dir={results}"])
    assert not left.exists()


@pytest.mark.control
def test_a_killed_run_says_so_and_its_rows_are_whole(killed: Path) -> None:
    (path,) = killed.glob("runs/*")
    assert read_json(path / "run.json")["status"] == "running"  # type: ignore[index]
    assert status_of(path) == "interrupted"
    assert rows(path)[0]["step"] == 0


def files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.mark.long
@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "random", "gone"])
@pytest.mark.parametrize("state", ["finished", "killed"])
def test_every_file(
    state: str, damage: str, whole: RunResult, killed: Path, tmp_path: Path, survived: Callable[[int], None]
) -> None:
    """The same command gives the same rows, or refuses in one line and gives them with force=true.

    One bit of run.json is left out: the scores in it have no digest, and tables are made from the rows.
    """
    source = whole.path if state == "finished" else next(killed.glob("runs/*"))
    names = [path.relative_to(source) for path in files_of(source)]
    names = [name for name in names if not (damage == "one bit" and name.name == "run.json")]
    for i, name in enumerate(names):
        place = tmp_path / str(i) / "runs" / whole.run_id
        shutil.copytree(source, place)
        DAMAGES[damage](place / name)
        overrides = [*RUN, f"results_dir={tmp_path / str(i)}"]
        load_results(tmp_path / str(i))
        if command(overrides) != 0:
            assert command([*overrides, "force=true"]) == 0, name
        again = run(overrides)
        assert (again.status, again.final, again.best) == (whole.status, whole.final, whole.best), name
        assert timeless(rows(again.path)) == timeless(rows(whole.path)), name
    survived(len(names))

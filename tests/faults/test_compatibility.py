"""Stores of earlier versions: read, believed as far as they can be, and moved by `check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_runs import DIGITS, rows, timeless

from lookahead_bench import load_results, run
from lookahead_bench.cli import command
from lookahead_bench.configuration.identity import run_id_of_32_bits
from lookahead_bench.runs.run import RunResult
from lookahead_bench.runs.store import RESULT, stored_config

pytestmark = pytest.mark.fault("compatibility")
RUN = ["optimizer=lookahead", *DIGITS]


def aged(result: RunResult, place: Path) -> Path:
    """The run as the first version left it: an id of 32 bits, no digests, no studies."""
    config = stored_config(result.path)
    assert config is not None
    old = place / "runs" / run_id_of_32_bits(config)
    shutil.copytree(result.path, old)
    for name in ("config.yaml", "run.json"):
        (old / name).write_text((old / name).read_text().replace(result.run_id, old.name))
    record = json.loads((old / "run.json").read_text())
    gone = ("metrics_bytes", "metrics_sha256", "studies")
    (old / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k not in gone}))
    return old


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run([*RUN, f"results_dir={tmp_path_factory.mktemp('whole')}"])


def test_an_old_store_is_read_and_moved_once(
    whole: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = aged(whole, tmp_path)
    assert set(load_results(tmp_path)["run_id"]) == {old.name}
    assert len(load_results(tmp_path)) == len(rows(whole.path))
    assert command(["check", f"results_dir={tmp_path}"]) == 0
    assert f"{old}: had an id of 32 bits, is {whole.run_id} now" in capsys.readouterr().out
    moved = run([*RUN, f"results_dir={tmp_path}"])
    assert moved.skipped
    assert (moved.final, moved.record["formerly"]) == (whole.final, old.name)
    assert timeless(rows(moved.path)) == timeless(rows(whole.path))
    assert command(["check", f"results_dir={tmp_path}"]) == 0
    assert "1 sound, 0 mended" in capsys.readouterr().out


def test_an_old_run_whose_configuration_was_edited_is_not_moved(whole: RunResult, tmp_path: Path) -> None:
    old = aged(whole, tmp_path)
    (old / "config.yaml").write_text((old / "config.yaml").read_text().replace("max_steps: 30", "max_steps: 31"))
    assert command(["check", f"results_dir={tmp_path}"]) == 1
    assert old.exists()


def test_an_old_run_does_not_replace_one_that_is_there(whole: RunResult, tmp_path: Path) -> None:
    old = aged(whole, tmp_path)
    shutil.copytree(whole.path, tmp_path / "runs" / whole.run_id)
    assert command(["check", f"results_dir={tmp_path}"]) == 1
    assert old.exists()
    assert run([*RUN, f"results_dir={tmp_path}"]).record == whole.record


@pytest.mark.long
@pytest.mark.parametrize("missing", ["metric", "best", "final", "hardware", "seconds", "samples_per_s", "versions"])
@pytest.mark.parametrize("arguments", ["status", "report", "check", "run"])
def test_a_record_without_a_fact_that_came_later(
    arguments: str, missing: str, whole: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copytree(whole.path, tmp_path / "runs" / whole.run_id))
    record = json.loads((path / "run.json").read_text())
    del record[missing]
    (path / "run.json").write_text(json.dumps(record))
    words = RUN if arguments == "run" else [arguments]
    capsys.readouterr()
    command([*words, f"results_dir={tmp_path}"])
    err = capsys.readouterr().err
    assert f"does not tell its {missing}" in err or missing not in RESULT or arguments == "check"
    assert "unforeseen" not in err
    again = run([*RUN, f"results_dir={tmp_path}"])
    assert again.final == whole.final
    assert missing in again.record or missing not in RESULT

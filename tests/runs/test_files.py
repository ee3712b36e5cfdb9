"""Files are whole or absent, and on the disk before they take the old one's place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from lookahead_bench.runs import checkpoint
from lookahead_bench.runs.files import MANY, atomic, plain, read_json, write_all, write_json


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The order in which files are synced and renamed."""
    made: list[str] = []
    for name in ("fsync", "sync", "replace"):
        monkeypatch.setattr(os, name, told(made, name, getattr(os, name)))
    return made


def told(made: list[str], name: str, real: Any) -> Any:
    def call(*args: Any) -> Any:
        made.append(name)
        return real(*args)

    return call


def test_synced_before_it_is_renamed_and_the_directory_after(tmp_path: Path, calls: list[str]) -> None:
    write_json(tmp_path / "one.json", {"a": 1})
    assert calls == ["fsync", "replace", "fsync"]
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_many_files_share_their_syncs(tmp_path: Path, calls: list[str]) -> None:
    files = [(tmp_path / f"{i}", b"x") for i in range(MANY + 1)]
    write_all(files)
    assert calls == ["sync", *["replace"] * (MANY + 1), "sync"]
    assert all(path.read_bytes() == b"x" for path, _ in files)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"old")

    def failing() -> None:
        with atomic(path) as file:
            file.write(b"half of the ne")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        failing()
    assert [p.name for p in tmp_path.iterdir()] == ["one"]
    assert path.read_bytes() == b"old"


def test_non_finite_numbers_are_words(tmp_path: Path) -> None:
    value = {"a": float("nan"), "b": [float("inf"), -float("inf"), 1.5], "c": {"d": (1, None, True, "x")}}
    assert plain(value) == {"a": "nan", "b": ["inf", "-inf", 1.5], "c": {"d": [1, None, True, "x"]}}
    write_json(tmp_path / "one.json", value)
    assert read_json(tmp_path / "one.json") == plain(value)


class Fragile:
    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be saved")


def test_a_value_that_cannot_be_saved_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoint.save_generation({tmp_path: {"w": torch.ones(3)}}, 1)
    with pytest.raises(RuntimeError, match="cannot be saved"):
        checkpoint.save_generation({tmp_path: {"w": Fragile()}}, 2)
    state = checkpoint.load_newest(tmp_path)
    assert state is not None
    assert torch.equal(state["w"], torch.ones(3))
    assert not list(tmp_path.glob(".*"))


def test_a_crash_between_the_state_and_its_digest_is_passed_over(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save_generation({tmp_path: {"step": step}}, step)
    checkpoint.digest_file(tmp_path / "step-0000000002.pt").unlink()
    assert checkpoint.load_newest(tmp_path) == {"step": 1}

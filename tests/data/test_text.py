"""Texts end as numbers, wherever they come from; whatever is wrong with one is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lookahead_bench.data.fetch import TEXTS, files, prepare, texts
from lookahead_bench.data.text import EOS, UNKNOWN, corpus, numbered
from lookahead_bench.errors import DataError


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_numbers_by_hand() -> None:
    found = numbered({"train": [["b", "a", "b"], ["a", "b"]], "val": [["a", "z"]], "test": [["b"]]}, 10)
    assert found.words == ("b", EOS, "a", UNKNOWN)  # b three times, <eos> and a twice, <unk> for z alone
    assert found.train.tolist() == [0, 2, 0, 1, 2, 0, 1]
    assert (found.val.tolist(), found.test.tolist()) == ([2, 3, 1], [0, 1])
    assert found.train.dtype == torch.int64


def test_a_cut_off_vocabulary_keeps_the_most_frequent() -> None:
    lines = {"train": [["a"] * 5 + ["b"] * 3 + ["c", "d"]], "val": [["c"]], "test": [["a"]]}
    found = numbered(lines, 4)
    assert found.words == ("a", "b", UNKNOWN, EOS)
    assert found.train.tolist() == [0] * 5 + [1] * 3 + [2, 2, 3]
    assert len(numbered(lines, 5).words) == 5  # all of them, as <unk> is not needed


def test_a_text_of_ones_own_is_cut_in_order(tmp_path: Path) -> None:
    many = "\ufeff" + "\n\n".join(f"line {i}" for i in range(100))
    found = corpus(None, "", write(tmp_path / "a", many), 1000)
    assert [len(found.train), len(found.val), len(found.test)] == [240, 30, 30]
    few = corpus(None, "", write(tmp_path / "b", " ".join(map(str, range(100)))), 1000)
    assert [len(few.train), len(few.val), len(few.test)] == [81, 11, 11]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 words; a text of at least 20 is needed"),
        (" \n\n ", "has 0 words"),
        ("word", "has 1 words"),
        (b"gr\xfc\xdfe " * 50, "is not UTF-8: byte 0xfc at 2"),
    ],
)
def test_a_text_that_is_none(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        corpus(None, "", write(tmp_path / "text", text), 100)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "text") in str(caught.value)
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        corpus(None, "", str(tmp_path), 100)


def test_pydoc_is_embedded() -> None:
    found = corpus("pydoc", "nowhere", None, 2000)
    assert len(found.words) == 2000
    assert 50_000 < len(found.train) < 1_000_000
    assert min(len(found.val), len(found.test)) > 2000
    assert prepare("pydoc", "nowhere") == Path("nowhere")


@pytest.mark.fault("downloads")
def test_a_damaged_or_missing_penn_treebank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", nobody)
    with pytest.raises(DataError, match=r"no ptb in .*raw\.githubusercontent\.com.*`lookahead-bench data ptb`"):
        texts("ptb", tmp_path)
    source = files("ptb")
    assert source is TEXTS["ptb"]
    (tmp_path / "ptb").mkdir()
    for archive in source.archives:
        write(tmp_path / "ptb" / archive.filename, "the cat\n")
    with pytest.raises(DataError, match=r"ptb\.train\.txt is damaged"):
        texts("ptb", tmp_path)


def test_the_real_penn_treebank(real_data: Path) -> None:
    found = corpus("ptb", real_data, None, 10_000)
    assert [len(found.train), len(found.val), len(found.test)] == [929_589, 73_760, 82_430]
    assert len(found.words) == 10_000
    assert found.words[:3] == ("the", UNKNOWN, EOS)

"""Texts as numbers: a vocabulary, and the words of each split as one long stream."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import torch
from torch import Tensor

from lookahead_bench.data.fetch import texts
from lookahead_bench.errors import DataError

EOS, UNKNOWN = "<eos>", "<unk>"
SPLITS = ("train", "val", "test")
PARTS = 10  # of a text that is not split: eight to train on, then one to choose on, then one to test on
FEWEST = 2  # words of a split: one to begin with, one to predict

Line = list[str]


@dataclass(frozen=True)
class Corpus:
    """words: the vocabulary, a word's number is its place; train, val, test: the words in order, int64 [n]."""

    words: tuple[str, ...]
    train: Tensor
    val: Tensor
    test: Tensor


def corpus(data: str | None, data_dir: Path | str, text_file: str | None, vocabulary: int) -> Corpus:
    """A text by name, or of one's own, with its `vocabulary` most frequent words; all others are <unk>.

    data: ptb (read from data_dir, or downloaded) or pydoc (embedded); text_file: a file in UTF-8, words with spaces
    between, instead of `data`; vocabulary >= 2, with <eos>, which ends every line, and <unk>, where it is needed.
    Words are counted in the part trained on. Errors: DataError for no, damaged or too short a text.
    """
    if text_file is not None:
        lines = split_in_order(read(Path(text_file)), text_file)
    else:
        lines = {"ptb": penn_treebank, "pydoc": python_topics}[data or ""](data_dir)
    return numbered(lines, vocabulary)


def numbered(lines: Mapping[str, Iterable[Line]], vocabulary: int) -> Corpus:
    """The lines of every split as a stream; the most frequent words come first, equals in the order of the alphabet."""
    streams = {split: list(chain.from_iterable([*line, EOS] for line in lines[split])) for split in SPLITS}
    counts = Counter(streams["train"])
    counts.setdefault(EOS, 0)
    known = sorted(counts, key=lambda word: (-counts[word], word))
    if len(known) > vocabulary or any(word not in counts for split in SPLITS for word in streams[split]):
        kept = [word for word in known if word not in (EOS, UNKNOWN)][: vocabulary - 2]
        counts[UNKNOWN] = sum(counts.values()) - counts[EOS] - sum(counts[word] for word in kept)
        known = sorted([*kept, EOS, UNKNOWN], key=lambda word: (-counts[word], word))
    number = {word: i for i, word in enumerate(known)}
    unknown = number.get(UNKNOWN, -1)
    return Corpus(
        tuple(known),
        *(torch.tensor([number.get(word, unknown) for word in streams[split]], dtype=torch.int64) for split in SPLITS),
    )


def penn_treebank(data_dir: Path | str) -> dict[str, list[Line]]:
    """Mikolov's three files: 929,589, 73,760 and 82,430 words of a vocabulary of 10,000, with <eos>."""
    found = texts("ptb", data_dir)
    names = {"train": "ptb.train.txt", "val": "ptb.valid.txt", "test": "ptb.test.txt"}
    return {split: [line.split() for line in found[name].decode().splitlines()] for split, name in names.items()}


def python_topics(data_dir: Path | str = "") -> dict[str, list[Line]]:
    """Python's own help, about 114,000 words and signs in small letters; of ten topics one to choose, one to test on.

    Another version of Python has other texts, and so other numbers.
    """
    from pydoc_data.topics import topics

    lines: dict[str, list[Line]] = {split: [] for split in SPLITS}
    for i, topic in enumerate(sorted(topics)):
        split = {8: "val", 9: "test"}.get(i % 10, "train")
        lines[split] += filter(None, (re.findall(r"\w+|[^\w\s]", line) for line in topics[topic].lower().splitlines()))
    return lines


def read(path: Path) -> list[Line]:
    """The lines of a text that are not empty, as words. Errors: DataError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"dataset.text_file={path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"dataset.text_file={path}: is not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}; "
            "convert it, as with iconv"
        ) from None
    return [words for line in text.splitlines() if (words := line.split())]


def split_in_order(lines: list[Line], name: str) -> dict[str, list[Line]]:
    """The first eight tenths of the lines, the next and the last tenth; a text of few lines is cut between words.

    Errors: DataError for a text without FEWEST words for every split.
    """
    count = sum(map(len, lines))
    if count < PARTS * FEWEST:
        raise DataError(f"dataset.text_file={name}: has {count} words; a text of at least {PARTS * FEWEST} is needed")
    if len(lines) < 10 * PARTS:
        words = [word for line in lines for word in line]
        return {split: [words[a:b]] for split, (a, b) in zip(SPLITS, cuts(len(words)), strict=True)}
    return {split: lines[a:b] for split, (a, b) in zip(SPLITS, cuts(len(lines)), strict=True)}


def cuts(count: int) -> list[tuple[int, int]]:
    """Where each split begins and ends."""
    places = [0, count * (PARTS - 2) // PARTS, count * (PARTS - 1) // PARTS, count]
    return list(pairwise(places))

"""Data sets end as the same four arrays, wherever they come from; whatever is wrong is one line."""

from __future__ import annotations

import dataclasses
import gzip
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from archive_server import archive_of, cifar10_batches, serve, tar_gz

from lookahead_bench.data import fetch
from lookahead_bench.data.download import Archive
from lookahead_bench.data.fetch import SOURCES, load, prepare
from lookahead_bench.data.formats import cifar_batch, idx
from lookahead_bench.errors import ConfigError, DataError

pytestmark = pytest.mark.fault("downloads")

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(12) % 10
NAME = "cifar-10-python.tar.gz"
NOWHERE = "http://127.0.0.1:1/" + NAME


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A CIFAR-10 of 10 + 2 images, at an address where nobody answers."""
    body = tar_gz(cifar10_batches(IMAGES, LABELS))
    use(monkeypatch, archive_of(body, NOWHERE, filename=NAME))
    return body


def use(monkeypatch: pytest.MonkeyPatch, archive: Archive) -> None:
    source = dataclasses.replace(SOURCES["cifar10"], archives=(archive,), counts=(10, 2))
    monkeypatch.setitem(SOURCES, "cifar10", source)


def check(arrays: dict[str, np.ndarray]) -> None:
    assert list(arrays) == ["train_images", "train_labels", "test_images", "test_labels"]
    np.testing.assert_array_equal(np.concatenate([arrays["train_images"], arrays["test_images"]]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([arrays["train_labels"], arrays["test_labels"]]), LABELS)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8), np.dtype(np.int64)}


@pytest.mark.control
def test_download_to_cache_to_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bytes) -> None:
    with serve() as server:
        use(monkeypatch, archive_of(small, server.give("/" + NAME, small), filename=NAME))
        path = prepare("cifar10", tmp_path / "new")
        assert path == tmp_path / "new" / "cifar10.npz"
        check(load("cifar10", tmp_path / "new"))
        assert server.requests == ["/" + NAME]


@pytest.mark.control
def test_an_archive_that_was_put_there_is_used(tmp_path: Path, small: bytes) -> None:
    (tmp_path / NAME).write_bytes(small)
    check(load("cifar10", tmp_path))


@pytest.mark.control
def test_a_cache_that_was_put_there_is_used(tmp_path: Path, small: bytes) -> None:
    arrays = {"train_images": IMAGES[:10], "train_labels": LABELS[:10]}
    np.savez(tmp_path / "cifar10.npz", **arrays, test_images=IMAGES[10:], test_labels=LABELS[10:])
    check(load("cifar10", tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["cifar10.npz"]


def no_answer(*_: object, **__: object) -> None:
    time.sleep(1.5)
    raise TimeoutError


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_without_data_and_network_one_line_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.create_connection", no_answer)
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        load(name, tmp_path / "none")
    assert time.monotonic() - started < 1.4
    message = str(caught.value)
    assert "\n" not in message
    assert f"`lookahead-bench data {name}`" in message
    assert SOURCES[name].archives[0].filename in message
    assert str(tmp_path / "none") in message
    assert not (tmp_path / "none").exists()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'imagenet': not one of digits, pydoc, cifar10"):
        prepare("imagenet", tmp_path)


def arrays_with(**changed: np.ndarray) -> dict[str, np.ndarray]:
    good = {"train_images": IMAGES[:10], "train_labels": LABELS[:10]}
    return {**good, "test_images": IMAGES[10:], "test_labels": LABELS[10:], **changed}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_images": IMAGES}, "it holds train_images"),
        (arrays_with(extra=LABELS), "it holds extra"),
        (arrays_with(train_images=IMAGES[:9]), r"train_images is uint8 \[9, 32, 32, 3\], not uint8 \[10, 32, 32, 3\]"),
        (arrays_with(train_images=IMAGES[:10].astype(float)), "train_images is float64"),
        (arrays_with(train_labels=LABELS[:10] + 1), r"train_labels holds 1 \.\.\. 10, not 0 \.\.\. 9"),
        (arrays_with(test_labels=LABELS[:2] - 1), r"test_labels holds -1"),
        (arrays_with(test_labels=np.array([None, None])), "allow_pickle"),
    ],
)
def test_a_wrong_cache_is_named(tmp_path: Path, small: bytes, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "cifar10.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"cifar10\.npz is damaged .*{message}.*lookahead-bench data cifar10"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("damage", ["empty", "truncated", "bit", "text"])
def test_a_damaged_cache_is_named(tmp_path: Path, small: bytes, damage: str) -> None:
    path = tmp_path / "cifar10.npz"
    np.savez(path, **arrays_with())  # type: ignore[arg-type]
    whole = path.read_bytes()
    flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
    path.write_bytes({"empty": b"", "truncated": whole[:-500], "bit": flipped, "text": b"not found"}[damage])
    with pytest.raises(DataError, match=r"cifar10\.npz is damaged") as caught:
        load("cifar10", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, small: bytes) -> None:
    (tmp_path / "file").write_text("")
    with serve() as server, pytest.MonkeyPatch.context() as patch:
        use(patch, archive_of(small, server.give("/" + NAME, small), filename=NAME))
        with pytest.raises(DataError, match="cannot be prepared"):
            prepare("cifar10", tmp_path / "file" / "below")


CHILD = """
import dataclasses, sys
from lookahead_bench.data import fetch
from lookahead_bench.data.download import Archive
url, size, sha256, directory = sys.argv[1:]
archive = Archive((url,), "cifar-10-python.tar.gz", int(size), sha256)
fetch.SOURCES["cifar10"] = dataclasses.replace(fetch.SOURCES["cifar10"], archives=(archive,), counts=(10, 2))
print(fetch.load("cifar10", directory)["train_labels"].sum(), "torch" in sys.modules)
"""


def test_two_processes_download_once(tmp_path: Path, small: bytes) -> None:
    with serve() as server:
        server.delay = 0.5
        archive = archive_of(small, server.give("/" + NAME, small), filename=NAME)
        command = [sys.executable, "-c", CHILD, *archive.urls, str(archive.size), archive.sha256, str(tmp_path)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        outputs = [child.communicate(timeout=60)[0] for child in children]
        assert outputs == ["45 False\n"] * 3  # the right labels, and without importing torch
        assert server.requests == ["/" + NAME]


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickled_payload_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"
    members = cifar10_batches(IMAGES, LABELS)
    members["cifar-10-batches-py/data_batch_3"] = pickle.dumps({b"data": Payload(marker)}, 3)
    body = tar_gz(members)
    use(monkeypatch, archive_of(body, NOWHERE, filename=NAME))
    (tmp_path / NAME).write_bytes(body)
    with pytest.raises(DataError, match=r"data_batch_3 is no CIFAR batch .*system is not allowed"):
        load("cifar10", tmp_path)
    assert not marker.exists()
    assert not (tmp_path / "cifar10.npz").exists()


@pytest.mark.control
def test_batches_of_python_2_and_an_old_numpy_are_read() -> None:
    batch = {b"data": IMAGES[:2].transpose(0, 3, 1, 2).reshape(2, -1), b"fine_labels": [3, 99]}
    content = bytearray(pickle.dumps(batch, 3))
    for opcode, _, position in pickletools.genops(bytes(content)):  # Python 2 has one type for text and bytes
        if opcode.name in ("SHORT_BINBYTES", "BINBYTES"):
            content[position] = ord({"SHORT_BINBYTES": "U", "BINBYTES": "T"}[opcode.name])
    old = bytes(content).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy.core.multiarray" in old
    images, labels = cifar_batch(old, "fine_labels", "train")
    np.testing.assert_array_equal(images, IMAGES[:2])
    assert labels.tolist() == [3, 99]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2], 3),
        pickle.dumps({b"data": IMAGES[0]}, 3),
        pickle.dumps({b"data": IMAGES.reshape(12, -1), b"labels": [1]}, 3),
        pickle.dumps({b"data": IMAGES.reshape(12, -1).astype(float), b"labels": LABELS.tolist()}, 3),
    ],
)
def test_what_is_no_batch_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="x is no CIFAR batch"):
        cifar_batch(content, "labels", "x")


def packed(magic: bytes, *sizes: int, content: bytes) -> bytes:
    return gzip.compress(magic + struct.pack(f">{len(sizes)}I", *sizes) + content)


@pytest.mark.control
def test_idx_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(packed(b"\0\0\x08\x03", 2, 3, 4, content=bytes(range(24))))
    np.testing.assert_array_equal(idx(path, 3), np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    "content",
    [
        packed(b"\0\0\x08\x01", 24, content=bytes(24)),
        packed(b"\0\0\x0d\x03", 2, 3, 4, content=bytes(96)),
        packed(b"\0\0\x08\x03", 2, 3, 4, content=bytes(23)),
        packed(b"\0\0\x08\x03", 2, 3, 4, content=bytes(25)),
        packed(b"\0\0\x08\x03", 2**32 - 1, 2**32 - 1, 2**32 - 1, content=b""),
        packed(b"\0\0\x08\x03", content=b""),
        packed(b"\0\0\x08\x03", 2, 3, 4, content=bytes(range(24)))[:-9],
        b"<html>",
        b"",
    ],
    ids=["dimensions", "type", "short", "long", "huge", "no-sizes", "truncated", "html", "empty"],
)
def test_a_wrong_idx_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"f\.gz is damaged"):
        idx(path, 3)


@pytest.mark.control
def test_digits_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    arrays = load("digits", tmp_path / "none")
    published = load_digits()
    images = np.concatenate([arrays["train_images"], arrays["test_images"]])
    assert arrays["test_images"].shape == (360, 8, 8)
    assert images.dtype == np.uint8
    assert sorted(map(bytes, images)) == sorted(map(bytes, published.images.astype(np.uint8)))
    label_of = dict(zip(map(bytes, published.images.astype(np.uint8)), published.target, strict=True))
    assert [label_of[bytes(image)] for image in arrays["test_images"]] == arrays["test_labels"].tolist()
    assert set(np.bincount(arrays["test_labels"])) <= {34, 35, 36, 37}  # a fifth of each class
    assert prepare("digits", tmp_path) == tmp_path


@pytest.mark.control
@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_the_real_data_sets_load(name: str, real_data: Path) -> None:
    arrays = load(name, real_data)
    source = fetch.SOURCES[name]
    assert arrays["train_images"].shape == (source.counts[0], *source.shape)
    counts = np.bincount(arrays["train_labels"])
    assert len(counts) == source.classes
    if name != "mnist":
        assert set(counts) == {50_000 // source.classes}

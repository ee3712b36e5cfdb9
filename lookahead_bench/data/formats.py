"""The original files of CIFAR and MNIST as arrays; reading a file can neither run code nor exhaust the memory."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookahead_bench.errors import DataError

# The batches were pickled by Python 2 and an old NumPy, under names that newer ones have moved or deprecated.
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
_LARGEST_IDX = 1 << 28  # bytes


class _Unpickler(pickle.Unpickler):
    """Dictionaries, lists, numbers, strings and NumPy arrays; every other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def cifar_batch(content: bytes, labels: str, source: str) -> tuple[np.ndarray, np.ndarray]:
    """One pickled batch as images uint8 [N, 32, 32, 3] and labels int64 [N].

    labels: the key of the labels, `labels` (CIFAR-10) or `fine_labels` (CIFAR-100); source: its name in errors.
    Errors: DataError for what is not such a batch.
    """
    try:
        # The keys and the arrays' bytes are strings of Python 2.
        batch: Mapping[bytes, Any] = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        pixels = np.asarray(batch[b"data"])
        numbers = np.asarray(batch[labels.encode()], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(numbers), 3072):
            raise ValueError(f"{pixels.dtype} {list(pixels.shape)} and {len(numbers)} labels")
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{source} is no CIFAR batch ({type(error).__name__}: {error})") from None
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), numbers


def idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes, packed by gzip, as uint8 with so many dimensions.

    The header is big-endian: 0, 0, 8 (unsigned byte), the number of dimensions, then each size in 32 bits.
    Errors: DataError for a wrong magic number, for sizes that are not those of the content, for a damaged file.
    """
    try:
        with gzip.open(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise ValueError(f"it starts with {header[:4].hex(' ')}, not with 00 00 08 {dimensions:02x}")
            sizes = struct.unpack(f">{dimensions}I", header[4:])
            expected = int(np.prod(sizes, dtype=object))
            if expected > _LARGEST_IDX:
                raise ValueError(f"its sizes {list(sizes)} are too large")
            content = file.read(expected + 1)
            if len(content) != expected:
                raise ValueError(f"its sizes {list(sizes)} are not those of its content")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): delete it and try again") from None
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes).copy()

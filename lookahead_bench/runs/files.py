"""Files that are whole or absent: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

MANY = 20


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes `path` when the block ends well, and vanishes when it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # the kernel does not say on which file the disk was full
        raise
    sync_directory(path.parent)


def write_all(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write many files, each whole or absent, in this order for those of one directory.

    Above MANY, two syncs of the whole machine stand for two of each file: 1,000 replicas take seconds, not minutes.
    """
    if len(files) <= MANY:
        for path, data in files:
            with atomic(path) as file:
                file.write(data)
        return
    partial = [path.with_name(f".{path.name}.{os.getpid()}.part") for path, _ in files]
    try:
        for part, (_, data) in zip(partial, files, strict=True):
            part.write_bytes(data)
        os.sync()
        for part, (path, _) in zip(partial, files, strict=True):
            os.replace(part, path)
    except BaseException:
        for part in partial:
            part.unlink(missing_ok=True)
        raise
    os.sync()


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` outlast a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain(value: Any) -> Any:
    """JSON's idea of a value: non-finite numbers become the strings "nan", "inf" and "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def json_bytes(value: Any) -> bytes:
    return (json.dumps(plain(value), indent=2) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as file:
        file.write(json_bytes(value))


def content(path: Path) -> bytes:
    """All of a file, and nothing of one that is not there. Unbuffered, as it is read at once."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, or None where there is none or it is damaged."""
    try:
        value = json.loads(content(path))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

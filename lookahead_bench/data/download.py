"""Downloads that end whole or not at all: pinned size and hash, one process at a time, nothing unpacked on disk."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import socket
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tqdm import tqdm

from lookahead_bench.errors import DataError
from lookahead_bench.notices import no_bar

READ_TIMEOUT = 10.0  # seconds without a byte
CHUNK = 1 << 18  # bytes
MEMBERS, UNPACKED = 1000, 1 << 30  # an archive holds at most so many members and so many bytes


@dataclass(frozen=True)
class Archive:
    """A file to download: its addresses in order of preference, its name, its size in bytes and its sha256."""

    urls: tuple[str, ...]
    filename: str
    size: int
    sha256: str


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5
    max_repeats = 2


def reachable(urls: Sequence[str], patience: float) -> list[str]:
    """Those of `urls` whose server (or the proxy on the way) accepts a connection within `patience` seconds.

    In threads that are left behind, since the resolver's own time-out cannot be shortened.
    """
    reached: set[str] = set()

    def knock(url: str) -> None:
        parts = urlsplit(url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            parts = urlsplit(proxy)
        with contextlib.suppress(OSError):
            port = parts.port or {"http": 80}.get(parts.scheme, 443)
            socket.create_connection((parts.hostname or "", port), timeout=patience).close()
            reached.add(url)

    threads = [threading.Thread(target=knock, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [url for url in urls if url in reached]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file `path` as a lock between processes; the kernel frees it when its holder ends, in whatever way."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that prepares {path.parent} ...", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A `.part` file beside `path` to write; takes the name `path` at the end, or is removed when anything fails."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def download(archive: Archive, directory: Path, urls: Sequence[str] | None = None) -> Path:
    """The archive's path in `directory`, downloaded if it is not there, and verified in either case.

    urls: addresses to try, instead of all of the archive's. Errors: DataError that says what each address gave.
    """
    path = directory / archive.filename
    if path.exists():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != archive.sha256:
            raise DataError(f"{path} is damaged (sha256 {found}, not {archive.sha256}): delete it and try again")
        return path
    failures = []
    for url in archive.urls if urls is None else urls:
        try:
            with replacing(path) as part:
                _stream(url, archive, part)
            return path
        except (_Mismatch, OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            failures.append(f"{url}: {' '.join(str(reason).split()) or type(error).__name__}")
    raise DataError(f"{archive.filename} was not downloaded ({'; '.join(failures)}): try again, or put it at {path}")


class _Mismatch(Exception):
    """What a server sent is not the archive."""


def _stream(url: str, archive: Archive, part: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "lookahead-bench"})
    if urlsplit(url).scheme not in ("http", "https"):
        raise _Mismatch("not an http address")
    opener = urllib.request.build_opener(_Redirects)
    with opener.open(request, timeout=READ_TIMEOUT) as response, part.open("wb") as file:
        if response.headers.get_content_type() == "text/html":
            raise _Mismatch("a web page came instead of the file")
        digest, received = hashlib.sha256(), 0
        with tqdm(total=archive.size, unit="B", unit_scale=True, desc=archive.filename, disable=no_bar()) as progress:
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if received > archive.size:
                    raise _Mismatch(f"more than the expected {archive.size} bytes came")
                digest.update(chunk)
                file.write(chunk)
                progress.update(len(chunk))
    if received != archive.size:
        raise _Mismatch(f"{received} bytes came instead of {archive.size}")
    if digest.hexdigest() != archive.sha256:
        raise _Mismatch(f"sha256 {digest.hexdigest()} instead of {archive.sha256}")


def read_members(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The wanted files of a .tar.gz, in memory: nothing of an archive is ever written to disk.

    Errors: DataError for an archive that is damaged or lacks a wanted file, for one with absolute names, `..`, links
    or devices, and for more than MEMBERS members or UNPACKED bytes.
    """
    contents: dict[str, bytes] = {}
    unpacked = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for count, member in enumerate(archive, start=1):
                name = PurePosixPath(member.name)
                unpacked += member.size
                if name.is_absolute() or ".." in name.parts or not (member.isreg() or member.isdir()):
                    raise DataError(f"{path}: refused, {member.name!r} is a link, a device or outside of its folder")
                if count > MEMBERS or unpacked > UNPACKED:
                    raise DataError(f"{path}: refused, more than {MEMBERS} members or {UNPACKED} bytes unpacked")
                if member.name in wanted and (file := archive.extractfile(member)) is not None:
                    contents[member.name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): delete it and try again") from None
    if missing := sorted(set(wanted) - contents.keys()):
        raise DataError(f"{path} holds no {missing[0]}: delete it and try again")
    return contents

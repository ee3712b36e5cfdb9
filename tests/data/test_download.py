"""Downloads end whole or not at all, and archives cannot reach outside of themselves."""

from __future__ import annotations

import dataclasses
import gzip
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import Server, archive_of, serve, tar_gz

from lookahead_bench.data import download as module
from lookahead_bench.data.download import Archive, download, reachable, read_members
from lookahead_bench.errors import DataError

pytestmark = pytest.mark.fault("downloads")

BODY = bytes(range(256)) * 2000


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.mark.control
def test_a_download_is_whole_and_happens_once(server: Server, tmp_path: Path) -> None:
    archive = archive_of(BODY, server.give("/file", BODY))
    path = download(archive, tmp_path)
    assert path.read_bytes() == BODY
    assert download(archive, tmp_path) == path
    assert server.requests == ["/file"]
    assert [file.name for file in tmp_path.iterdir()] == ["file.tar.gz"]


@pytest.mark.control
def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    archive = archive_of(BODY, server.give("/old", b"", 302, Location="/new"))
    server.give("/new", BODY)
    assert download(archive, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"body": BODY[:-1] + b"?"}, "sha256 [0-9a-f]{64} instead of"),
        ({"body": BODY[:-1]}, f"{len(BODY) - 1} bytes came instead of {len(BODY)}"),
        ({"body": BODY[:-1], "Content_Length": str(len(BODY))}, f"{len(BODY) - 1} bytes|IncompleteRead"),
        ({"body": BODY + b"?"}, f"more than the expected {len(BODY)} bytes"),
        ({"body": b"gone", "status": 404}, "404|Not Found"),
        ({"body": b"", "status": 302, "Location": "/file"}, "redirect"),
        ({"body": b"", "status": 302, "Location": "file:///etc/hostname"}, "not allowed"),
        ({"body": b"<html>log in first</html>", "Content_Type": "text/html; charset=utf-8"}, "a web page came"),
    ],
    ids=["hash", "short", "truncated", "long", "404", "loop", "file-url", "html"],
)
def test_a_wrong_answer_leaves_nothing_and_a_retry_works(
    server: Server, tmp_path: Path, answer: dict[str, object], message: str
) -> None:
    archive = archive_of(BODY, server.give("/file", **answer))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message) as caught:
        download(archive, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    server.give("/file", BODY)
    assert download(archive, tmp_path).read_bytes() == BODY


def test_endless_redirects_end(server: Server, tmp_path: Path) -> None:
    for i in range(20):
        server.give(f"/{i}", b"", 302, Location=f"/{i + 1}")
    with pytest.raises(DataError):
        download(archive_of(BODY, server.address + "/0"), tmp_path)
    assert len(server.requests) < 10


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    archive = archive_of(BODY, server.address + "/missing", server.give("/file", BODY))
    assert download(archive, tmp_path).read_bytes() == BODY


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DataError, match="timed out"):
            download(archive_of(BODY, url), tmp_path)


def test_a_damaged_file_that_is_there_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file.tar.gz").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"file\.tar\.gz is damaged .*delete it"):
        download(archive_of(BODY, "http://127.0.0.1:1/"), tmp_path)
    assert (tmp_path / "file.tar.gz").exists()


@pytest.mark.control
def test_reachable_tells_servers_from_closed_ports(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    urls = [f"http://127.0.0.1:{port}/a", server.address + "/b"]
    assert reachable(urls, 5.0) == urls[1:]


def test_a_resolver_that_hangs_costs_no_more_than_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(*_: object, **__: object) -> None:
        time.sleep(1.0)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", no_answer)
    started = time.monotonic()
    assert reachable(["https://example.org/"], 0.1) == []
    assert time.monotonic() - started < 0.8


@pytest.mark.control
def test_members_are_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({"d/one": b"1", "d/two": b"2", "d/readme.html": b"3"}))
    assert read_members(path, ["d/one", "d/two"]) == {"d/one": b"1", "d/two": b"2"}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="holds no d/three"):
        read_members(path, ["d/one", "d/three"])


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil"),
        member("d/../../evil"),
        member("/etc/evil"),
        member("d/one", tarfile.SYMTYPE, "/etc/passwd"),
        member("d/one", tarfile.LNKTYPE, "../one"),
        member("d/one", tarfile.CHRTYPE),
        member("d/one", tarfile.FIFOTYPE),
    ],
    ids=["parent", "inner-parent", "absolute", "symlink", "hardlink", "device", "fifo"],
)
def test_unsafe_members_are_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_gz({"d/one": b"1"}, bad))
    with pytest.raises(DataError, match="refused"):
        read_members(path, ["d/one"])
    assert list(tmp_path.iterdir()) == [path]


def test_bombs_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = tarfile.TarInfo("d/one")
    huge.size = 10 << 30
    large = tmp_path / "large.tar.gz"
    large.write_bytes(gzip.compress(huge.tobuf()))
    with pytest.raises(DataError, match="refused"):
        read_members(large, ["d/one"])
    many = tmp_path / "many.tar.gz"
    many.write_bytes(tar_gz({f"d/{i}": b"" for i in range(module.MEMBERS + 1)}))
    with pytest.raises(DataError, match="refused"):
        read_members(many, ["d/0"])


DAMAGED = {"empty": b"", "html": b"<html>", "no tar": gzip.compress(b"no tar"), "cut": tar_gz({"d/one": BODY})[:-300]}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar\.gz (is damaged|holds no)"):
        read_members(path, ["d/one"])


@pytest.mark.control
def test_archives_are_values() -> None:
    archive = Archive(("http://a/",), "f", 1, "0")
    with pytest.raises(dataclasses.FrozenInstanceError):
        archive.size = 2  # type: ignore[misc]


@pytest.mark.control
def test_no_progress_where_stderr_is_no_terminal(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(archive_of(BODY, server.give("/file", BODY)), tmp_path)
    assert capsys.readouterr() == ("", "")

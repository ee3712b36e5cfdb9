"""A web server on 127.0.0.1 that gives what a test tells it to, and small archives for it to give."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from lookahead_bench.data.download import Archive


@dataclass
class Server:
    """pages: path -> (status, headers, body); requests: the paths asked for; delay: seconds before each answer."""

    address: str
    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    delay: float = 0.0

    def give(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (status, {"Content-Type": "application/x-gzip", **named}, body)
        return self.address + path


@contextmanager
def serve() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(self.path)
            time.sleep(server.delay)
            status, headers, body = server.pages.get(self.path, (404, {}, b"no such page"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{httpd.server_port}/")
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    server.pages, server.address = {}, server.address.rstrip("/")
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def archive_of(body: bytes, *urls: str, filename: str = "file.tar.gz") -> Archive:
    return Archive(urls, filename, len(body), hashlib.sha256(body).hexdigest())


def tar_gz(files: Mapping[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def cifar10_batches(images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    """The members of a CIFAR-10 archive for 12 images: five batches of two to train on, and one of two to test on."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    batches = [{b"data": rows[2 * i : 2 * i + 2], b"labels": labels[2 * i : 2 * i + 2].tolist()} for i in range(6)]
    return {f"cifar-10-batches-py/{name}": pickle.dumps(batch, 3) for name, batch in zip(names, batches, strict=True)}

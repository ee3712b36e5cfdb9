"""One process owns a run; another one is told who holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from lookahead_bench.errors import Held, RunError


class Lock:
    """An exclusive `flock` on a file that names its holder. The kernel lets go of it when the holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock. Errors: Held after half a second, naming the holder; RunError where the file is a link."""
        handle = self._open()
        try:
            for attempt in range(8):  # `held_by_another` holds it for an instant, a process that dies a little longer
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.02 * attempt)
            else:
                raise Held(f"{self.path.parent.name}: is held by {self.holder()}")
            os.ftruncate(handle, 0)
            os.write(handle, f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}\n".encode())
        except BaseException:  # on a full disk too, where nobody would ever let go of it
            os.close(handle)
            raise
        self._handle = handle

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise RunError(f"{self.path}: is a link, and a run belongs to who locks a file; remove it") from None

    def lost(self) -> bool:
        """Whether the file that is locked here is no longer the one at the path: the directory was begun again."""
        if self._handle is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._handle), os.lstat(self.path))
        except OSError:
            return True

    def holder(self) -> str:
        """Who has it, or had it last."""
        try:
            return self.path.read_text(errors="replace").strip() or "another process"
        except OSError:
            return "nobody"

    def held_by_another(self) -> bool:
        """Whether some process holds it now (never this object)."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

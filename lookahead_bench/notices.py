"""What the command says, and to whom: results on stdout, notices and errors on stderr. Nobody need listen."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import sys
from typing import TextIO

PLAIN = {"±": "+-", "…": "..."}


def listen() -> None:
    """The project's own notices on stderr; not the root logger's, where Hydra would say everything twice."""
    notices = logging.getLogger("lookahead_bench")
    notices.setLevel(logging.INFO)
    notices.handlers = [logging.StreamHandler(sys.stderr)]
    notices.handlers[0].setFormatter(logging.Formatter("lookahead-bench: %(message)s"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a home directory that cannot be written
    logging.raiseExceptions = False  # a log file on a full disk (W&B's) would be a traceback a line


def plainly(error: UnicodeError) -> tuple[str, int]:
    """What a terminal of ASCII shows instead of the characters that it does not have."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


def open_streams() -> None:
    """Streams that take everything: what `>&-` closed is the null device, or the next file would stand in its place."""
    codecs.register_error("plainly", plainly)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (for as long as the process lives)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="plainly")  # type: ignore[union-attr]  # the standard streams are


def settle_streams() -> None:
    """Give away what is still to be written, so that the interpreter's end has nothing to fail at."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream)


def say(line: str) -> None:
    """Print a result at once; when its reader has gone (`| head`), nothing more is said, and the runs go on."""
    try:
        print(line, flush=True)
    except OSError as error:
        silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            complain(f"the output: {error.strerror}; the runs go on")


def complain(message: object) -> None:
    """One line on stderr, if anybody is there to read it."""
    try:
        print(f"lookahead-bench: {message}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


_worker = False


def be_a_worker() -> None:
    """From now on this process, one of a sweep's, shows no bar: the sweep has one for all."""
    global _worker
    _worker = True


def no_bar() -> bool | None:
    """What tqdm takes as `disable`; None: shown where stderr is a terminal."""
    return True if _worker else None


def silence(stream: TextIO) -> None:
    """From now on, and at the interpreter's end, what goes to this stream goes nowhere."""
    with contextlib.suppress(OSError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

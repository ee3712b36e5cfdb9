"""Work beside this process: in a copy of it, where a processor has one to spare."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, ParamSpec, TypeVar

from lookahead_bench.errors import RunError

T = TypeVar("T")
P = ParamSpec("P")
FORK = "fork" in multiprocessing.get_all_start_methods()  # a copy has all imports already


class Beside(Generic[T]):
    """`function(*args)`, begun at once. It ends with its work, whatever becomes of this process."""

    def __init__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        context: Any = multiprocessing.get_context("fork" if FORK else None)
        self._answer, answer = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(answer, function, args, kwargs))
        with warnings.catch_warnings():  # Python 3.12 warns of locks that a thread may hold
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        answer.close()

    def wait(self) -> None:
        """Until it has ended, well or not."""
        self._process.join()

    def result(self) -> T:
        """Wait for what it gives, or raise what it has raised. Errors: RunError where it was killed."""
        try:
            value, error = self._answer.recv()
        except EOFError:
            raise RunError("a process that drew figures was killed (was memory short?)") from None
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]  # of the function


def _work(answer: Connection, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both, and one tells of it
    gc.enable()
    try:
        found: tuple[Any, Exception | None] = function(*args, **kwargs), None
    except Exception as error:
        found = None, error
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        answer.send(found)

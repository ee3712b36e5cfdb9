"""The terminal, as the reports use it."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table

from lookahead_bench.notices import silence

WIDTH = 120  # where the output is no terminal


class Screen(Console):
    """A console that a reader may leave (`| head`): nothing more is said, and all files are written."""

    def on_broken_pipe(self) -> None:
        silence(sys.stdout)


def console() -> Console:
    """Where tables and lines go, as they are written; wide enough for a table when it is a file or a pipe."""
    return Screen(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False, emoji=False)


def table(title: str | None = None) -> Table:
    """An empty table in the house's style."""
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)

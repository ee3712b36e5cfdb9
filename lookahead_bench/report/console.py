"""The terminal, as the reports use it."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 120  # where the output is no terminal


def console() -> Console:
    """Where tables and lines go; wide enough for a table when it is a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)


def table(title: str | None = None) -> Table:
    """An empty table in the house's style."""
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)

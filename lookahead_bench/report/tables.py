"""A table as text for people and as numbers for programs: terminal, Markdown, LaTeX (booktabs), CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich.table import Table as RichTable
from rich.text import Text

from lookahead_bench.report.console import table as empty_table
from lookahead_bench.runs.files import atomic

LEFT = {
    "optimizer", "method", "settings", "chosen", "problem", "weights", "paper", "table", "published settings",
    "our settings", "differences of set-up", "claim", "source", "on", "verdict", "evidence", "tuning",
}  # fmt: skip
LATEX = str.maketrans(
    {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
     "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$"}
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table.

    lines: its cells as text; numbers: the same for a CSV, where it has more exact ones
    bold: which lines have their first score in bold; emphasised: the column of it
    narrow: columns that a page or a terminal has room for; blocks: where a rule stands, before these lines
    notes: sentences below it
    """

    name: str
    title: str
    lines: pd.DataFrame
    numbers: pd.DataFrame | None = None
    bold: Sequence[bool] = ()
    emphasised: str = ""
    narrow: Sequence[str] = ()
    blocks: Sequence[int] = ()
    notes: Sequence[str] = field(default=())

    def cells(self, mark: tuple[str, str], *, narrow: bool = False) -> pd.DataFrame:
        """The text with what is bold between two marks."""
        cells = self.lines.astype(str)
        if self.emphasised:
            before, after = mark
            marked = [f"{before}{c}{after}" if b else c for c, b in zip(cells[self.emphasised], self.bold, strict=True)]
            cells = cells.assign(**{self.emphasised: marked})
        return cells[[c for c in self.narrow if c in cells]] if narrow and self.narrow else cells

    def terminal(self) -> RichTable:
        cells = self.cells(("", " *"), narrow=True)  # bold is lost in a pipe
        if self.emphasised:
            score = zip(cells[self.emphasised], self.bold, strict=True)
            cells[self.emphasised] = [cell if bold else f"{cell}  " for cell, bold in score]
        shown = empty_table(self.title)
        for column in cells.columns:
            left = column in LEFT
            head = str(column) if left else str(column).replace(" ", "\n")
            shown.add_column(head, justify="left" if left else "right", no_wrap=not left, overflow="fold")
        for i, row in enumerate(cells.itertuples(index=False)):
            bold = [bool(self.emphasised) and self.bold[i] and c == self.emphasised for c in cells.columns]
            words = [Text(cell, style="bold" if b else "") for cell, b in zip(row, bold, strict=True)]
            shown.add_row(*words, end_section=i + 1 in self.blocks)
        return shown

    def markdown(self) -> str:
        cells = self.cells(("**", "**"))
        rule = [":---" if c in LEFT else "---:" for c in cells.columns]
        rows = [map(str, cells.columns), rule, *cells.to_numpy().tolist()]
        head = f"{self.title}\n\n" if self.title else ""
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return head + "".join(f"| {' | '.join(row)} |\n" for row in rows) + notes

    def latex(self) -> str:
        """A tabular with booktabs' rules; the notes are comments."""
        escaped = self.lines.astype(str).map(lambda cell: cell.translate(LATEX))
        cells = Table(self.name, "", escaped, bold=self.bold, emphasised=self.emphasised, narrow=self.narrow).cells(
            (r"\textbf{", "}"), narrow=True
        )
        columns = "".join("l" if c in LEFT else "r" for c in cells.columns)
        rows = [" & ".join(row) + r" \\" for row in cells.to_numpy().tolist()]
        for place in reversed(self.blocks):
            rows.insert(place, r"\midrule")
        head = " & ".join(str(c).translate(LATEX) for c in cells.columns) + r" \\"
        notes = [f"% {line}" for line in (self.title, *self.notes) if line]
        body = [*notes, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows, r"\bottomrule",
                r"\end{tabular}", ""]  # fmt: skip
        return "\n".join(body)

    def csv(self) -> pd.DataFrame:
        return self.lines if self.numbers is None else self.numbers

    def save(self, stem: Path) -> str:
        """<stem>.md, .csv and .tex; says what it has written."""
        texts = {".md": self.markdown(), ".csv": self.csv().to_csv(index=False), ".tex": self.latex()}
        for suffix, text in texts.items():
            with atomic(stem.with_name(f"{stem.name}{suffix}")) as file:
                file.write(text.encode())
        return f"{stem}{' '.join(texts)}"


def save(stem: Path, lines: pd.DataFrame) -> None:
    """A plain table as <stem>.md, .csv and .tex."""
    Table(stem.name, "", lines).save(stem)

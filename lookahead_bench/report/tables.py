"""A table as the files that people paste: Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd

from lookahead_bench.runs.files import atomic


def save(stem: Path, table: pd.DataFrame) -> None:
    """<stem>.md, .csv and .tex."""
    head, rows = [str(c) for c in table.columns], table.astype(str).to_numpy().tolist()
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([head, *rows])
    markdown = "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *rows])
    body = "".join(" & ".join(map(tex, line)) + r" \\" + "\n" for line in rows)
    latex = (f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}\n\\hline\n{' & '.join(map(tex, head))} \\\\\n\\hline\n"
             f"{body}\\hline\n\\end{{tabular}}\n")  # fmt: skip
    for suffix, text in ((".md", markdown), (".csv", buffer.getvalue()), (".tex", latex)):
        with atomic(stem.with_name(stem.name + suffix)) as file:
            file.write(text.encode())


def tex(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%").replace("±", r"$\pm$")

"""A table as the files that people paste: Markdown, CSV and LaTeX (booktabs)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lookahead_bench.runs.files import atomic


def save(stem: Path, table: pd.DataFrame) -> None:
    """<stem>.md, .csv and .tex."""
    head, rows = [str(c) for c in table.columns], table.astype(str).to_numpy().tolist()
    markdown = "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *rows])
    columns = "l" + "r" * (len(head) - 1)
    latex = table.astype(str).to_latex(index=False, escape=True, column_format=columns).replace("±", r"$\pm$")
    for suffix, text in ((".md", markdown), (".csv", table.to_csv(index=False)), (".tex", latex)):
        with atomic(stem.with_name(stem.name + suffix)) as file:
            file.write(text.encode())

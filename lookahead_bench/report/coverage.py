"""docs/coverage.md: every figure and table of the papers, and whether it regenerates here.

    python -m lookahead_bench.report.coverage > docs/coverage.md

From conf/papers.yaml, which lists them, and the experiments' own facts: `about.figures` maps PAPER/FIGURE to how the
experiment differs, null where it does not. One file of a figure's folder speaks for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from lookahead_bench.configuration.files import CONF, files
from lookahead_bench.configuration.identity import ABOUT
from lookahead_bench.configuration.listing import read
from lookahead_bench.report.figures import GROUP, figures, full

HEAD = """\
# What regenerates

Every figure and table of the nine papers, as far as the papers were read. *Regenerates*: the same quantities with the
paper's own settings. *Differs*: how, and why. *Cannot*: why not. What a study resolves to at `scale=paper`, where that
was read, and what is our choice, is in `tests/papers.yaml`; those over networks need a GPU and have not been run here.
This page is made by `python -m lookahead_bench.report.coverage`.
"""


def experiments() -> dict[str, list[tuple[str, str | None]]]:
    """PAPER/FIGURE -> the experiments that show it, each with how it differs."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for name, path in files("experiment"):
        for figure, differs in ((read(path).get(ABOUT) or {}).get("figures") or {}).items():
            found.setdefault(figure, []).append((name, differs))
    return found


def command(experiment: str) -> str:
    """What draws the figure that an experiment belongs to, or runs the table's study."""
    drawn = {full(name): name for name in figures()}
    folder = experiment.rpartition("/")[0]
    if folder in drawn:
        return f"lookahead-bench figures {drawn[folder]}"
    return f"lookahead-bench -m experiment={experiment}" + " scale=paper" * (not experiment.startswith(f"{GROUP}/"))


def rows() -> Iterator[tuple[str, str, str, str]]:
    """(paper, figure, answer, command) of every figure; command: several with <br> between, or nothing."""
    shown = experiments()
    for key, paper in read(CONF / "papers.yaml").items():
        for name, figure in paper["figures"].items():
            ours = shown.pop(f"{key}/{name}", [])
            if bool(ours) == ("cannot" in figure):
                raise ValueError(f"{key}/{name}: needs an experiment that shows it or a reason why none does, not both")
            reasons = list(dict.fromkeys(differs for _, differs in ours if differs))
            answer = f"differs: {'; '.join(reasons)}" if reasons else "regenerates"
            if not ours:
                answer = f"cannot: {figure['cannot']}"
            commands = dict.fromkeys(f"`{command(one)}`" for one, _ in ours)
            yield paper["paper"], figure["what"], answer, "<br>".join(commands)
    if shown:
        raise ValueError(f"{', '.join(shown)}: stands in an experiment's about.figures, but not in conf/papers.yaml")


def page() -> str:
    lines, last = [HEAD], ""
    for paper, *cells in rows():
        if paper != last:
            lines += [f"\n## {paper}\n", "| figure or table | here | command |", "| --- | --- | --- |"]
            last = paper
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).replace(HEAD + "\n", HEAD) + "\n"


if __name__ == "__main__":
    print(page(), end="")

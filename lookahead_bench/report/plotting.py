"""How figures for papers look: one column wide, colour-blind safe, vector, the legend beside the data."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from lookahead_bench.report.stats import mean
from lookahead_bench.runs.files import atomic

WIDTH = 3.3  # inches, a column of a two-column paper
STYLE: Any = {
    "font.size": 7, "axes.labelsize": 7, "axes.titlesize": 7, "xtick.labelsize": 6, "ytick.labelsize": 6,
    "legend.fontsize": 6, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "lines.linewidth": 1.0, "lines.markersize": 3.2, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "legend.handlelength": 2.2, "legend.columnspacing": 1.2, "legend.labelspacing": 0.3,
    "pdf.fonttype": 42, "ps.fonttype": 42, "savefig.dpi": 300, "figure.constrained_layout.use": True,
    "axes.formatter.use_mathtext": True, "mathtext.fontset": "dejavusans",
}  # fmt: skip


class Look(NamedTuple):
    """One method's colour (Okabe and Ito), marker and line, the same in every figure."""

    label: str
    colour: str
    marker: str
    line: Any


LOOKS = {
    "sgd": Look("SGD", "#000000", "o", "-"),
    "gda": Look("GDA", "#000000", "o", "-"),
    "alt_gda": Look("alternating GDA", "#56B4E9", "h", (0, (1, 1))),
    "adam": Look("Adam", "#CC79A7", "p", (0, (3, 1, 1, 1, 1, 1))),
    "alt_adam": Look("alternating Adam", "#000000", "o", "-"),
    "lookahead_minmax": Look("Lookahead-Minmax", "#0072B2", "s", "--"),
    "nested_lookahead_minmax": Look("nested LA-Minmax", "#56B4E9", "D", (0, (5, 1, 1, 1))),
    "extragradient": Look("EG", "#0072B2", "s", "--"),
    "past_extragradient": Look("past EG", "#D55E00", "^", "-."),
    "eg_plus": Look("EG+", "#56B4E9", "D", (0, (5, 1, 1, 1))),
    "extra_adam": Look("ExtraAdam", "#E69F00", ">", (0, (5, 1))),
    "la_extra_adam": Look("LA-ExtraAdam", "#D55E00", "^", "-."),
    "alt_rapp": Look("RAPP", "#CC79A7", "p", (0, (3, 1, 1, 1, 1, 1))),
    "alt_rapp_adam": Look("RAPP-Adam", "#009E73", "v", (0, (1, 1))),
    "rapp": Look("RAPP", "#D55E00", "^", "-."),
    "app": Look("APP", "#E69F00", ">", ":"),
    "la_gda": Look("LA-GDA", "#009E73", "v", "-"),
    "la_gda_2": Look("LA-GDA", "#009E73", "<", ":"),
    "la_eg": Look("LA-EG", "#CC79A7", "p", (0, (3, 1, 1, 1, 1, 1))),
    "la_eg_plus": Look("LA-EG+", "#CC79A7", "p", (0, (3, 1, 1, 1, 1, 1))),
    "lookahead": Look("Lookahead", "#D55E00", "^", "--"),
    "multilayer": Look("Multilayer", "#0072B2", "s", "-."),
    "averaging": Look("averaged SGD", "#009E73", "v", (0, (5, 1))),
    "radam": Look("RAdam", "#D55E00", "^", "--"),
    "adamw": Look("AdamW", "#56B4E9", "D", (0, (5, 1, 1, 1))),
    "polyak": Look("Polyak", "#009E73", "v", (0, (5, 1))),
    "ema": Look("EMA", "#009E73", "<", ":"),
    "nt_asgd": Look("NT-ASGD", "#009E73", "h", (0, (1, 1))),
    "lookahead_adam": Look("LA-Adam", "#E69F00", ">", (0, (5, 1))),
    "lookahead_radam": Look("LA-RAdam", "#E69F00", "<", ":"),
    "multilayer_adam": Look("Multilayer Adam", "#56B4E9", "h", (0, (1, 1))),
    "snoo": Look("SNOO", "#009E73", "P", (0, (3, 1, 1, 1))),
    "sam": Look("SAM", "#E69F00", "X", ":"),
    "la_sam": Look("LA-SAM", "#CC79A7", "X", "-."),
    "optimistic_adam": Look("optimistic Adam", "#0072B2", "s", "--"),
    "la_alt_gda": Look("LA-AltGDA", "#009E73", "v", "-"),
}
COLOURS = tuple(dict.fromkeys(look.colour for look in LOOKS.values()))


def look(method: str) -> Look:
    """The method's own; of one that is not ours a colour by its name, the same in every figure."""
    return LOOKS.get(method) or Look(method, COLOURS[zlib.crc32(method.encode()) % len(COLOURS)], "o", "-")


def paler(colour: str, amount: float) -> str:
    """Mixed with so much white, 0 to 1."""
    red, green, blue = (amount + (1 - amount) * part for part in to_rgb(colour))
    return to_hex((red, green, blue))


def methods(frame: pd.DataFrame) -> list[str]:
    """The optimizers of the frame, in the order of LOOKS."""
    return sorted(frame["optimizer"].unique(), key=list(LOOKS).index)


def axes(columns: int = 1, rows: int = 1, *, height: float = 2.0, width: float = WIDTH, **kwargs: Any) -> tuple[
    Figure, list[Axes]
]:  # fmt: skip
    """A figure of columns x rows panels, and the panels in reading order."""
    figure, grid = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **kwargs)
    return figure, list(grid.flat)


def points(ax: Axes, x: Any, y: Any, look: Look, *, error: Any = None, label: str | None = None) -> None:
    """Measured values: hollow markers. label: of the method in the legend, with its line (the closed form)."""
    ax.errorbar(
        x, y, yerr=error, fmt=look.marker, color=look.colour, markerfacecolor="white", markeredgewidth=0.8,
        elinewidth=0.6, capsize=0, zorder=3,
    )  # fmt: skip
    if label:
        both = {"color": look.colour, "linestyle": look.line, "marker": look.marker, "markerfacecolor": "white"}
        ax.plot([], [], label=label, **both)


def line(ax: Axes, x: Any, y: Any, look: Look) -> None:
    """A closed form."""
    ax.plot(x, y, color=look.colour, linestyle=look.line, zorder=2)


def curve(
    ax: Axes, frame: pd.DataFrame, value: str, look: Look, *, x: str = "oracle_calls", markers: int = 7,
    band: bool = True, label: str | None = None,
) -> None:  # fmt: skip
    """The mean over seeds against oracle calls with a few markers, and the band between the extreme seeds."""
    spread = frame.groupby(x)[value].agg(["mean", "min", "max"])
    each = max(1, len(spread) // markers)
    ax.plot(
        spread.index, spread["mean"], color=look.colour, linestyle=look.line, marker=look.marker, markevery=each,
        markerfacecolor="white", markeredgewidth=0.8, label=label or look.label, zorder=3,
    )  # fmt: skip
    if band and frame["run_id"].nunique() > 1:
        ax.fill_between(spread.index, spread["min"], spread["max"], color=look.colour, alpha=0.15, linewidth=0)


def legend(figure: Figure, panels: Sequence[Axes], columns: int, handles: Sequence[Any] = ()) -> None:
    """One legend for all panels, above them; the same label once."""
    entries: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    for handle in handles:
        entries.setdefault(handle.get_label(), handle)
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=columns)


def train(frame: pd.DataFrame) -> pd.DataFrame:
    """The fast weights before the first step and after every one that has a row."""
    return frame[(frame["weights"] == "fast") & ((frame["split"] == "train") | (frame["step"] == 0))]


def final(frame: pd.DataFrame, weights: str = "fast") -> pd.DataFrame:
    """The evaluation at the end of every run."""
    return final_of(frame, "test", weights)


def final_of(frame: pd.DataFrame, split: str, weights: str = "fast") -> pd.DataFrame:
    """The same on any split."""
    scored = frame[(frame["split"] == split) & (frame["weights"] == weights)]
    return scored.loc[scored.groupby("run_id")["step"].idxmax()]


def judged(frame: pd.DataFrame) -> pd.DataFrame:
    """The evaluations of the weights that each run's method is judged by: those that are scored last."""
    scored = frame[frame["split"] != "train"]
    return scored[scored["weights"] == scored.groupby("run_id")["weights"].transform("last")]


def outcome(ends: pd.DataFrame, metric: str) -> str:
    """The mean over runs with its 95 % interval, from the last row of each; diverged ones are counted beside it."""
    done = ends.loc[ends["status"] == "done", metric]
    lost = len(ends) - len(done)
    return ", ".join([mean(done.tolist()).text(metric)] * bool(len(done)) + [f"{lost} diverged"] * bool(lost))


def picture(ax: Axes, row: Any, part: float = 1.0) -> None:
    """What the run kept of this evaluation, a row of it; the upper left part of the height and of the width."""
    ax.set_axis_off()
    ax.set_aspect("equal")
    file = Path(row["directory"], "samples", f"{row['weights']}-{int(row['step']):08d}.png")
    if not file.exists():
        ax.text(0.5, 0.5, "no picture\nkept", ha="center", va="center", color="#777777", fontsize=5)
        return
    pixels = plt.imread(file)
    ax.imshow(pixels[: round(len(pixels) * part), : round(pixels.shape[1] * part)], interpolation="nearest")


def panel_title(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", pad=3)


def log_ticks(ax: Axes, axis: str = "y", count: int = 5) -> None:
    """At most `count` labelled powers of ten."""
    getattr(ax, f"{axis}axis").set_major_locator(matplotlib.ticker.LogLocator(numticks=count))
    getattr(ax, f"{axis}axis").set_minor_locator(matplotlib.ticker.NullLocator())


def save(figure: Figure, stem: Path) -> Path:
    """STEM.pdf and STEM.png, whose path it gives; nothing in them depends on the day."""
    try:
        for suffix, nothing in ((".png", "Software"), (".pdf", "CreationDate")):
            with atomic(stem.with_name(stem.name + suffix)) as file:
                figure.savefig(file, format=suffix[1:], metadata={nothing: None})
            figure.set_layout_engine("none")  # once for both: it takes longer than all the drawing
    finally:
        plt.close(figure)
    return stem.with_name(f"{stem.name}.png")


def recurrence(values: Any, order: int) -> float:
    """The asymptotic factor of a sequence: the largest root of the linear recurrence of this order that it obeys."""
    values = np.asarray(values, dtype=float)
    known = np.stack([values[i : len(values) - order + i] for i in range(order)], axis=1)
    scale = np.abs(values[order:])[:, None] + 1e-300  # every equation counts alike while the sequence decays
    solution, *_ = np.linalg.lstsq(known / scale, values[order:] / scale[:, 0], rcond=None)
    return float(np.abs(np.roots([1.0, *-solution[::-1]])).max())

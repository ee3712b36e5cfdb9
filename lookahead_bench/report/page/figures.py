"""The figures of the page as Bokeh draws them. What its own script changes later (axis, view, lines) has a name."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from bokeh.models import BasicTickFormatter, ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from lookahead_bench.report.curves import looks
from lookahead_bench.report.page.lines import POINTS, STEPS, Figure, Points
from lookahead_bench.report.plotting import Look

DASHES = {"-": [], "--": [6, 3], "-.": [6, 3, 2, 3], ":": [2, 3]}  # pixels
MARKED = 8  # points of a line that have a marker, or a few more
TOOLS = "pan,box_zoom,wheel_zoom,reset,save"


class Marker(NamedTuple):
    """Bokeh's name, and the outline in a square of 2 x 2 around the origin, for the legend."""

    name: str
    outline: str


def star(corners: int, inner: float = 1.0, turn: float = 0.0) -> str:
    """A path with so many corners, and as many in between at `inner` of the radius; turn: in corners."""
    count = corners if inner == 1.0 else 2 * corners
    points = []
    for i in range(count):
        radius, angle = inner if count > corners and i % 2 else 1.0, 2 * math.pi * (i / count + turn / corners)
        points.append(f"{radius * math.sin(angle):.2f},{-radius * math.cos(angle):.2f}")
    return f"M{' '.join(points)}Z"


CROSS = "M-1,0H1M0,-1V1"
DIAGONAL = "M-.8,-.8L.8,.8M-.8,.8L.8,-.8"
MARKERS = {
    "o": Marker("circle", "M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z"),
    "s": Marker("square", "M-.85,-.85H.85V.85H-.85Z"),
    "^": Marker("triangle", star(3)),
    "v": Marker("inverted_triangle", star(3, turn=0.5)),
    "D": Marker("diamond", star(4)),
    "p": Marker("star", star(5, 0.45)),
    "<": Marker("square_pin", star(4, 0.45, turn=0.5)),
    ">": Marker("triangle_pin", star(3, 0.3)),
    "h": Marker("hex", star(6, turn=0.5)),
    "X": Marker("x", DIAGONAL),
    "*": Marker("asterisk", CROSS + DIAGONAL),
    "P": Marker("cross", CROSS),
    "d": Marker("diamond_cross", star(4) + CROSS),
    "8": Marker("square_x", "M-.85,-.85H.85V.85H-.85Z" + DIAGONAL),
}


def dash(line: Any) -> list[int]:
    """Matplotlib's line in pixels."""
    return DASHES[line] if isinstance(line, str) else [2 * length for length in line[1]]


def looks_of(shown: Figure) -> list[Look]:
    return looks([line.group.method for line in shown.lines])


def bokeh_figure(shown: Figure) -> Any:
    """A figure in its first view. Its renderers have the number of their line as a tag."""
    x, view = next(iter(shown.axes)), shown.views[0]
    log_x, log_y = shown.logarithmic
    plot = figure(
        name=shown.name, height=400, sizing_mode="stretch_width", tools=TOOLS, active_scroll=None,
        x_axis_type="log" if log_x else "linear", y_axis_type="log" if log_y else "linear",
        x_axis_label=shown.axes[x], y_axis_label=view, x_range=spread(shown.x_range(view, x)),
        y_range=spread(shown.y_range(view)),
    )  # fmt: skip
    plot.toolbar.logo = None
    if shown.axes == STEPS:
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    elif not log_x:
        plot.xaxis.formatter = BasicTickFormatter(power_limit_low=-4)  # 0.001, not 1.000e-3
    joined: list[Any] = []
    for i, (line, look) in enumerate(zip(shown.lines, looks_of(shown), strict=True)):
        source = ColumnDataSource(in_view(line.views.get(view, {}), x, MARKED if line.joined else POINTS))
        common: dict[str, Any] = {"source": source, "name": line.group.label, "visible": line.group.shown}
        band = plot.varea("x", "low", "high", color=look.colour, alpha=0.15, **common)
        joined.append(plot.line("x", "mean", color=look.colour, line_width=2, line_dash=dash(look.line),
                                line_alpha=float(line.joined), **common))  # fmt: skip
        dots = plot.scatter("x", "mean", marker=MARKERS[look.marker].name, size="size", line_color=look.colour,
                            fill_color="white", line_width=1.5, **common)  # fmt: skip
        for renderer in (band, joined[-1], dots):
            renderer.tags = [i]
    tooltips = [("", "$name"), (shown.axes[x], "@x{0,0.[0000]}"), (view, "@mean{0,0.[0000]}")]
    plot.add_tools(HoverTool(renderers=joined, tooltips=tooltips, line_policy="nearest"))
    return plot


def in_view(points: Points, x: str, marked: int) -> dict[str, Any]:
    """What the page's own script sets when another view is chosen: the points, and a marker at so many of them."""
    values = {key: points.get(key, []) for key in ("mean", "low", "high")}
    every = max(1, len(values["mean"]) // marked)
    return {"x": points.get(x, []), **values, "size": [0 if i % every else 8 for i in range(len(values["mean"]))]}


def spread(ends: tuple[float, float]) -> Range1d:
    return Range1d(start=ends[0], end=ends[1])

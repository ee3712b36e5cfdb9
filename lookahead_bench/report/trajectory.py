"""A picture of the path that a run of two numbers took."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lookahead_bench.runs.files import atomic

SIZE, MARGIN = 900, 60  # pixels; drawn at twice the size that is saved, which smooths the lines
EARLY, LATE = (176, 206, 230), (0, 60, 110)  # the path darkens with time
Point = tuple[float, float]


def path_of(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The fast weights at the start and after every step that has a row; [] where x and y are no metrics."""
    taken = [row for row in rows if row["weights"] == "fast" and (row["split"] == "train" or row["step"] == 0)]
    points = [(row.get("x"), row.get("y")) for row in taken]
    return [(x, y) for x, y in points if isinstance(x, float) and isinstance(y, float)]


def draw_trajectory(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the path, a circle at its start and a dot at its end, into a PNG file; nothing where there is no path.

    What leaves the square of three times the start's distance from 0 (at least 1) is cut off.
    """
    points = path_of(rows)
    if len(points) < 2:
        return
    from PIL import Image, ImageDraw

    reach = 3 * max(1.0, math.hypot(*points[0]))
    points = [(min(max(x, -reach), reach), min(max(y, -reach), reach)) for x, y in points]
    low = [min(p[i] for p in points) for i in (0, 1)]
    high = [max(p[i] for p in points) for i in (0, 1)]
    span = max(*(b - a for a, b in zip(low, high, strict=True)), 1e-12)
    centre = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    unit = (SIZE - 2 * MARGIN) / span

    def pixel(point: Point) -> Point:
        return SIZE / 2 + (point[0] - centre[0]) * unit, SIZE / 2 - (point[1] - centre[1]) * unit

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    for axis in (0, 1):  # the lines x = 0 and y = 0
        at = pixel((0.0, 0.0))[axis]
        pen.line([(at, 0), (at, SIZE)] if axis == 0 else [(0, at), (SIZE, at)], fill=(215, 215, 215), width=2)
    for i, (start, end) in enumerate(itertools.pairwise(points)):
        late = i / len(points)
        colour = tuple(round(a + (b - a) * late) for a, b in zip(EARLY, LATE, strict=True))
        pen.line([pixel(start), pixel(end)], fill=colour, width=4)
    (x, y), (u, v) = pixel(points[0]), pixel(points[-1])
    pen.ellipse([x - 9, y - 9, x + 9, y + 9], outline=LATE, width=4)
    pen.ellipse([u - 7, v - 7, u + 7, v + 7], fill=(213, 94, 0))
    for sign, place, anchor in ((-1, (20, SIZE - 16), "ls"), (1, (SIZE - 20, 32), "rs")):  # what the corners are
        x, y = (c + sign * SIZE / 2 / unit for c in centre)
        pen.text(place, f"({x:.3g}, {y:.3g})", fill=(90, 90, 90), anchor=anchor, font_size=24)
    file.parent.mkdir(exist_ok=True)
    with atomic(file) as written:
        image.resize((SIZE // 2, SIZE // 2), Image.Resampling.LANCZOS).save(written, "PNG")

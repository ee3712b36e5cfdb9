"""A picture of the path that a run of two numbers took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lookahead_bench.tasks.base import Picture

SIZE, MARGIN = 450, 30  # pixels
Points = np.ndarray[Any, np.dtype[np.float64]]  # [points, 2]


def path_of(rows: Sequence[dict[str, Any]]) -> Points:
    """The finite points of the fast weights: at the start, and after every step that has a row."""
    taken = [row for row in rows if row["weights"] == "fast" and (row["split"] == "train" or row["step"] == 0)]
    points = [(row.get("x"), row.get("y")) for row in taken]
    return np.array([p for p in points if all(isinstance(v, float) for v in p)]).reshape(-1, 2)


def draw_trajectory(points: Points) -> Picture:
    """The path, darkening with time, with a circle at its start and a dot at its end, in a square.

    What leaves the square of three times the start's distance from 0 (at least 1) is cut off.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    reach = 3 * max(1.0, float(np.hypot(*points[0])))
    points = points.clip(-reach, reach)
    low, high = points.min(0), points.max(0)
    centre = (low + high) / 2
    half = max(float((high - low).max()), 1e-12) / 2 * SIZE / (SIZE - 2 * MARGIN)

    figure = Figure(figsize=(SIZE / 100, SIZE / 100), dpi=100)
    axes = figure.add_axes(
        (0, 0, 1, 1), xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half)
    )
    axes.axis("off")
    axes.axhline(0, color="0.84", linewidth=0.8)
    axes.axvline(0, color="0.84", linewidth=0.8)
    shades = np.linspace((0.69, 0.81, 0.90), (0.0, 0.24, 0.43), len(points))
    axes.add_collection(
        LineCollection(list(np.stack([points[:-1], points[1:]], axis=1)), colors=shades, linewidths=1.4)
    )
    axes.plot(*points[0], "o", markersize=7, markerfacecolor="none", markeredgecolor=shades[-1], markeredgewidth=1.4)
    axes.plot(*points[-1], "o", markersize=5, color="#D55E00")
    for sign, place, align in ((-1, (0.02, 0.02), "left"), (1, (0.98, 0.955), "right")):  # what the corners are
        x, y = centre + sign * half
        axes.text(*place, f"({x:.3g}, {y:.3g})", transform=axes.transAxes, ha=align, fontsize=8, color="0.35")
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()

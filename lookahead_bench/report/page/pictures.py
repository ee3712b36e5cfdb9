"""Sample grids as pictures in the page: a few over training of one seed of each setting, small."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lookahead_bench.report.page.lines import Group

SHOWN = 4  # of a setting
SIDE = 160  # pixels: the upper left of a grid, not shrunk where it is pixel art


class Picture(NamedTuple):
    source: str
    caption: str
    words: str


class Strip(NamedTuple):
    label: str
    pictures: list[Picture]


def strips(results_dir: str, groups: Sequence[Group]) -> list[Strip]:
    """Of every group whose first run with samples has some of the weights that its method is judged by."""
    found = []
    for group in groups:
        folders = [Path(results_dir, "runs", run, "samples") for run in group.run_ids]
        files = next((files for one in folders if (files := sorted(one.glob(f"{group.weights}-*.png")))), [])
        if files:
            chosen = np.unique(np.linspace(0, len(files) - 1, SHOWN).round().astype(int))
            found.append(Strip(group.label, [picture(files[i], group.label) for i in chosen]))
    return found


def picture(file: Path, label: str) -> Picture:
    """A file NAME-STEP.png."""
    caption = f"step {int(file.stem.rpartition('-')[2]):,}"
    with Image.open(file) as image:
        small = image.convert("RGB")
        small.thumbnail((2 * SIDE, 2 * SIDE))
        buffer = io.BytesIO()
        small.quantize(64).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/png;base64,{data}", caption, f"A grid of samples of {label} at {caption}")

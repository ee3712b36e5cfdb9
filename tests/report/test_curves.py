"""Curves are told apart without colour, and a method has one colour everywhere."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lookahead_bench.report import plotting
from lookahead_bench.report.curves import caption, looks


def test_every_line_of_a_figure_has_a_marker_of_its_own() -> None:
    methods = ["sgd", "gda", "lookahead", "lookahead", "radam", "somebodys_own", "multilayer", "extragradient"]
    found = looks(methods)  # sgd and gda, lookahead and radam, multilayer and extragradient look alike elsewhere
    assert len({one.marker for one in found}) == len(methods)
    assert found[2] == plotting.LOOKS["lookahead"]


def test_a_method_has_one_colour_and_its_settings_shades_of_it() -> None:
    alone, (first, second, third) = looks(["multilayer"]), looks(["multilayer"] * 3)
    assert alone[0].colour == first.colour == plotting.LOOKS["multilayer"].colour
    brightness = [sum(to_rgb(one.colour)) for one in (first, second, third)]
    assert brightness == sorted(set(brightness))
    assert plotting.look("somebodys_own").colour == plotting.look("somebodys_own").colour in plotting.COLOURS


@pytest.mark.parametrize(
    ("seeds", "diverged", "words"),
    [
        ([1, 1], 0, "one seed"),
        ([3, 3], 0, "mean of 3 seeds; band: the extreme seeds"),
        ([1, 5, 3], 2, "mean of 1 to 5 seeds; band: the extreme seeds; 2 diverged, not drawn"),
    ],
)
def test_the_caption_says_how_many_seeds(seeds: list[int], diverged: int, words: str) -> None:
    def runs(count: int, status: str) -> pd.DataFrame:
        rows: list[dict[str, Any]] = [{"run_id": f"{status}{i}", "status": status} for i in range(count)] * 2
        return pd.DataFrame(rows, columns=["run_id", "status"])

    drawn = [runs(count, "done") for count in seeds]
    assert caption(pd.concat([*drawn, runs(diverged, "diverged")]), drawn) == words

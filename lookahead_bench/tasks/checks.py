"""Rules between a task's constants, judged when the configuration is read. Imports no torch.

What one value may be stands in the task's YAML (`about.ranges`); what several must be together stands here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookahead_bench.ranges import is_finite

Node = Mapping[str, Any]
Broken = Iterator[tuple[str, str]]
PIXELS = {"digits": 64, "mnist": 784}


class Check:
    """A task's YAML names a subclass: `about.check: package.module.Class`."""

    def broken(self, node: Node) -> Broken:
        """(key, rule) for every key of the task's node that breaks a rule; nothing where all is well."""
        raise NotImplementedError


class Bilinear(Check):
    """A batch is at most the whole; the divisor's bounds are in order."""

    def broken(self, node: Node) -> Broken:
        if node["batch_size"] > node["dim"]:
            yield "batch_size", f"must be at most dataset.dim={node['dim']}, which is the full batch"
        if node["divisor"][0] > node["divisor"][1]:
            yield "divisor", "must be two integers [low, high] with 1 <= low <= high, such as [1,10000]"


class Planar(Check):
    """A game of two numbers: the set is one, and the start lies in it."""

    def broken(self, node: Node) -> Broken:
        yield from broken_set(node)
        if outside := leaves_set(node, node["start"]):
            yield "start", f"lies outside of {outside}; start inside, or change the set"


class QuadraticGame(Planar):
    """L is the modulus of the eigenvalues, so |rho| < 1/L."""

    def broken(self, node: Node) -> Broken:
        yield from super().broken(node)
        bound = 1 / node["L"]
        if not -bound < node["rho"] < bound:
            yield (
                "rho",
                (f"must lie strictly between -1/L and 1/L, here -{bound:g} and {bound:g} (dataset.L={node['L']:g})"),
            )


class ShiftedBilinear(Planar):
    """The solution (c, c) lies in the set."""

    def broken(self, node: Node) -> Broken:
        yield from super().broken(node)
        if outside := leaves_set(node, [node["c"], node["c"]]):
            yield "c", f"puts the solution (c, c) outside of {outside}; choose one inside"


class Saddle(Check):
    """There is an operator."""

    def broken(self, node: Node) -> Broken:
        if node["e1"] == 0 and node["e2"] == 0:
            yield "e1", "must be > 0 where dataset.e2=0"


class LatentSize(Check):
    """Fewer latent dimensions than pixels."""

    def broken(self, node: Node) -> Broken:
        if node["latent"] >= PIXELS[node["data"]]:
            yield "latent", f"must be below {PIXELS[node['data']]}, the pixels of dataset.data={node['data']}"


class LanguageModel(Check):
    """A text of one's own is a file."""

    def broken(self, node: Node) -> Broken:
        if node["text_file"] is not None and not Path(node["text_file"]).is_file():
            yield "text_file", "is no file; name a text in UTF-8"


class Mixture(Check):
    """A grid of Gaussians is a square."""

    def broken(self, node: Node) -> Broken:
        if node["layout"] == "grid" and math.isqrt(node["modes"]) ** 2 != node["modes"]:
            yield "modes", "must be a square number for dataset.layout=grid, such as 9 or 25"


class FiniteSum(Check):
    """Half of the curvatures lie above the mean, half below."""

    def broken(self, node: Node) -> Broken:
        if node["n"] % 2:
            yield "n", "must be even: half of the curvatures lie above the mean, half below"


def broken_set(node: Node) -> Broken:
    """box: [low, high], or one pair (or null) a player; ball: a radius."""
    box, ball = node.get("box"), node.get("ball")
    if ball is not None and box is not None:
        yield "box", f"cannot stand beside dataset.ball={ball:g}; set one of the two to null"
    pairs = sides(box) if isinstance(box, list) and len(box) == 2 else [box]
    if box is not None and not all(pair is None or is_interval(pair) for pair in pairs):
        yield "box", "must be null, [low,high], or one such pair or null a player: [null,[-1,1]]"


def is_interval(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(map(is_finite, pair)) and pair[0] <= pair[1]


def sides(box: Sequence[Any]) -> list[Any]:
    """The pair (or None) of each of the two players."""
    return list(box) if any(side is None or isinstance(side, list) for side in box) else [box, box]


def leaves_set(node: Node, point: Sequence[float]) -> str:
    """The words for the set that `point` is outside of; empty where it is inside."""
    ball, box = node.get("ball"), node.get("box")
    if ball is not None and math.hypot(*point) > ball:
        return f"the ball of radius {ball:g} (dataset.ball)"
    if box is not None and any(
        pair is not None and not pair[0] <= value <= pair[1] for pair, value in zip(sides(box), point, strict=True)
    ):
        return f"the box {box} (dataset.box)"
    return ""

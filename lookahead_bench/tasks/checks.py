"""What a toy task's constants must satisfy, judged when the configuration is read. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lookahead_bench.errors import ConfigError

Node = Mapping[str, Any]
PIXELS = {"digits": 64, "mnist": 784}


def refuse(key: str, value: Any, rule: str) -> None:
    raise ConfigError(f"dataset.{key}={value}: {rule}")


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def at_least(node: Node, key: str, least: float, *, integer: bool = False) -> None:
    """node[key] is a finite number (or integer) >= least."""
    value = node[key]
    if not number(value) or value < least or (integer and not isinstance(value, int)):
        refuse(key, value, f"must be {'an integer' if integer else 'a finite number'} >= {least:g}")


def quadratic(node: Node) -> None:
    at_least(node, "dim", 1, integer=True)
    at_least(node, "condition", 1)
    common(node)


def noisy_quadratic(node: Node) -> None:
    at_least(node, "dim", 1, integer=True)
    common(node)


def bilinear(node: Node) -> None:
    at_least(node, "dim", 1, integer=True)
    if node["batch_size"] > node["dim"]:
        refuse("batch_size", node["batch_size"], f"must be at most dataset.dim={node['dim']}, which is the full batch")
    divisor = node["divisor"]
    if len(divisor) != 2 or not all(isinstance(v, int) and v >= 1 for v in divisor) or divisor[0] > divisor[1]:
        refuse("divisor", divisor, "must be two integers [low, high] with 1 <= low <= high, such as [1,10000]")


def quadratic_game(node: Node) -> None:
    planar(node)
    L, rho = node["L"], node["rho"]
    if not number(L) or L <= 0:
        refuse("L", L, "must be a finite number > 0")
    if not number(rho) or not -1 / L < rho < 1 / L:
        refuse("rho", rho, f"must lie strictly between -1/L and 1/L, here -{1 / L:g} and {1 / L:g} (dataset.L={L:g})")


def polar_game(node: Node) -> None:
    planar(node)
    if node["case"] not in ("hard", "medium", "easy"):
        refuse("case", node["case"], "must be hard, medium or easy")


def shifted_bilinear(node: Node) -> None:
    planar(node)
    outside = leaves_set(node, [node["c"], node["c"]])
    if outside:
        refuse("c", node["c"], f"puts the solution (c, c) outside of {outside}; choose one inside")


def planar(node: Node) -> None:
    """A game of two numbers: start, constraint, spread, noise."""
    common(node)
    start = node["start"]
    if len(start) != 2 or not all(map(number, start)):
        refuse("start", start, "must be two finite numbers, one a player, such as [1.0,0.5]")
    check_set(node)
    outside = leaves_set(node, start)
    if outside:
        refuse("start", start, f"lies outside of {outside}; start inside, or change the set")


def saddle(node: Node) -> None:
    at_least(node, "dim", 1, integer=True)
    at_least(node, "data_seed", 0, integer=True)
    common(node)
    if not number(node["radius"]) or node["radius"] <= 0:
        refuse("radius", node["radius"], "must be a finite number > 0")
    if node["e1"] < 0 or (node["e1"] == 0 and node["e2"] == 0):
        refuse("e1", node["e1"], "must be >= 0, and dataset.e1 and dataset.e2 not both 0")


def linear_vae(node: Node) -> None:
    at_least(node, "latent", 1, integer=True)
    if node["data"] not in PIXELS:
        refuse("data", node["data"], f"must be one of {', '.join(PIXELS)}")
    if node["latent"] >= PIXELS[node["data"]]:
        refuse(
            "latent", node["latent"], f"must be below {PIXELS[node['data']]}, the pixels of dataset.data={node['data']}"
        )
    for key in ("noise_variance", "epsilon"):
        if not number(node[key]) or node[key] <= 0:
            refuse(key, node[key], "must be a finite number > 0")
    if not number(node["delta"]) or not 0 <= node["delta"] < 1:
        refuse("delta", node["delta"], "must be a finite number >= 0 and < 1")


def vae(node: Node) -> None:
    linear_vae(node)
    at_least(node, "width", 1, integer=True)


def common(node: Node) -> None:
    for key in ("spread", "noise"):
        if key in node:
            at_least(node, key, 0)


def check_set(node: Node) -> None:
    """box: [low, high], or one pair (or null) a player; ball: a radius."""
    box, ball = node.get("box"), node.get("ball")
    if ball is not None and (not number(ball) or ball <= 0):
        refuse("ball", ball, "must be null or a radius > 0")
    if ball is not None and box is not None:
        refuse("box", box, f"cannot stand beside dataset.ball={ball:g}; set one of the two to null")
    if box is None:
        return
    pairs = sides(box) if isinstance(box, list) and len(box) == 2 else None
    if pairs is None or not all(pair is None or is_interval(pair) for pair in pairs):
        refuse("box", box, "must be null, [low,high], or one such pair or null a player: [null,[-1,1]]")


def is_interval(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(map(number, pair)) and pair[0] <= pair[1]


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


def finite_sum(node: Node) -> None:
    at_least(node, "n", 2, integer=True)
    if node["n"] % 2:
        refuse("n", node["n"], "must be even: half of the curvatures lie above the mean, half below")

"""Accuracy in the plane of one inner loop, as in `digits/surface`, on real images."""

from lookahead_bench.report.digits.surface import draw as draw

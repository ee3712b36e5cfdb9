"""GANs on a grid of 25 Gaussians, drawn as those on the ring."""

from lookahead_bench.report.gan.ring import draw

__all__ = ["draw"]

"""Overrides -> a checked configuration and its identity: compose, check, normalise, identity."""

from lookahead_bench.configuration.config import Config, every_job, load

__all__ = ["Config", "every_job", "load"]

"""Overrides -> a checked configuration and its identity: compose, check, normalise, identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookahead_bench.configuration.config import Config, every_job, load

__all__ = ["Config", "every_job", "load"]


def __getattr__(name: str) -> Any:  # lazily: `list` and what reads sources must not import Hydra
    if name in __all__:
        from lookahead_bench.configuration import config

        return getattr(config, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

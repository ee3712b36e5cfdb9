"""lookahead-bench: the benchmarks of the Lookahead family of optimizers, reproduced from the command line.

from lookahead_bench import run, load_results
from lookahead_bench.optim import Lookahead
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookahead_bench.runs.results import load_results
    from lookahead_bench.runs.run import RunResult, run

__version__ = "0.1.0"
__all__ = ["RunResult", "__version__", "load_results", "run"]

_HOME = {"run": "runs.run", "RunResult": "runs.run", "load_results": "runs.results"}


def __getattr__(name: str) -> Any:  # lazily: `lookahead-bench --help` must import neither torch nor pandas
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

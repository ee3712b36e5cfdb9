"""`lookahead-bench bench`: speed, measured in one run on this machine: interleaved rounds, medians, ratios."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from lookahead_bench.errors import ConfigError

BENCHMARKS = {
    "gan": "an oracle call and the training loop of a GAN against gradients and rounds written by hand",
    "lm": "a language model's training loop against the plain float32 loop, and against its own bare passes",
    "loop": "the training loop against bare forward and backward passes",
    "optimizers": "the wrappers' steps against their base's, and against pytorch_optimizer's Lookahead",
    "report": "`report` over a store of 10,000 runs of 370 rows each",
    "replicas": "R runs as one program against the same runs one after another",
    "skips": "a sweep over finished runs against Hydra's own sweep over jobs that do nothing",
}


def bench(names: Sequence[str], values: Mapping[str, str]) -> None:
    """Run the named benchmarks, or all. Errors: ConfigError for a name that is none."""
    for name in names:
        if name not in BENCHMARKS:
            raise ConfigError(f"bench {name}: no such benchmark; choose of {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        importlib.import_module(f"lookahead_bench.bench.{name}").main(values)

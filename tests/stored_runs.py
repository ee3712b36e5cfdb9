"""Runs' files made by hand: every score is what the test says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

IMAGES = ("digits", "cifar10")


def write_run(
    results: Path, name: str, seed: int, scores: dict[str, Any], status: str = "done", *, val: float | None = None,
    studies: list[str] | None = None, curves: dict[str, list[float]] | None = None, metric: str = "accuracy",
    **scientific: Any,
) -> None:  # fmt: skip
    """A run's files by hand. scores: {"slow": test accuracy, ...}; val: of the validation set, else the same.

    A toy task, say dataset={"name": "quadratic"}, has no validation set. curves: the scores at evenly spaced steps, of
    each kind of weights, instead of 0.1 at the start and the end's from then on.
    """
    optimizer = {"name": name, "lr": 0.1} | scientific.pop("optimizer", {})
    config = {"seed": seed, "scale": "cpu", "dataset": {"name": "digits"}, "optimizer": optimizer,
              "model": {"name": "mlp"}, "schedule": {"name": "constant"}, **scientific}  # fmt: skip
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    path = results / "runs" / f"digits-{name}-s{seed}-{digest}"
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump({"scientific": config, "execution": {}}))
    splits = {"val": val, "test": None} if config["dataset"]["name"] in IMAGES else {"test": None}
    final = {
        split: {kind: {"loss": 1.0, metric: value if other is None else other} for kind, value in scores.items()}
        for split, other in splits.items()
    }
    direction = "max" if metric == "accuracy" else "min"
    record = {"status": status, "metric": metric, "direction": direction, "final": final, "best": None, "step": 10,
              "oracle_calls": 10, "samples": 640, "seconds": {"train": 5.0}, "studies": studies}  # fmt: skip
    (path / "run.json").write_text(json.dumps(record))
    curves = curves or {kind: [0.1, value, value] for kind, value in scores.items()}
    steps = {kind: range(0, 10 * len(of), 10) for kind, of in curves.items()}
    lines = [
        {"step": step, "oracle_calls": step, "samples": step, "epoch": step / 10, "seconds": 0.5 * step, "split": split,
         "weights": kind, "loss": 1.0, metric: score}
        for split in splits for kind, of in curves.items() for step, score in zip(steps[kind], of, strict=True)
    ]  # fmt: skip
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

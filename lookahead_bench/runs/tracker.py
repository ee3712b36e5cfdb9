"""W&B as a mirror of a run's rows: it can neither change nor end a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from lookahead_bench.configuration import Config
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.tasks.base import Picture

log = logging.getLogger("lookahead_bench")
TIMEOUT = 10  # seconds for anything that needs the network


class NoTracker:
    """The files of the run directory only."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def picture(self, position: Mapping[str, Any], name: str, picture: Picture) -> None:
        """Nothing."""

    def finish(self, status: str) -> None:
        """Nothing."""


class WandbTracker(NoTracker):
    """One W&B run with the run's own id; $WANDB_MODE, else online where a key is configured, otherwise offline.

    After the first failure it warns once and stays silent: the files are the truth, and `lookahead-bench sync`
    can replay them.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run: Any = None
        self._rows = len(run.rows())  # W&B's step is the row's number in metrics.jsonl, so that none is there twice
        self._safely(lambda: self._start(run))

    def _start(self, run: RunDirectory) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        os.environ.setdefault("WANDB_CONSOLE", "off")
        for folder in ("CACHE", "CONFIG", "DATA"):  # not in the home directory, which may not be ours to write
            os.environ.setdefault(f"WANDB_{folder}_DIR", os.path.abspath(f"{run.config['results_dir']}/wandb"))
        import wandb

        config: Config = run.config
        node = config["tracker"]
        mode: Any = node["mode"]
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        self._run = wandb.init(
            project=node["project"],
            entity=node["entity"],
            id=config.run_id,
            name=config.run_id,
            resume="allow" if mode == "online" else None,
            mode=mode,
            dir=str(run.path),
            config=config.scientific,
            settings=wandb.Settings(init_timeout=TIMEOUT, silent=True, console="off", x_disable_stats=True),
        )
        self._run.define_metric("*", step_metric="step")

    def _safely(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # whatever it is, the run goes on without the mirror
            self._run = None
            reason = " ".join(str(error).split())[:200]
            log.warning("W&B is not following this run (%s: %s); its files are complete", type(error).__name__, reason)

    def log(self, row: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._safely(lambda: self._run.log(wandb_row(row), step=self._rows))
            self._rows += 1

    def picture(self, position: Mapping[str, Any], name: str, picture: Picture) -> None:
        """One series of pictures for each kind of weights, beside the row that comes next."""
        if self._run is not None:
            self._safely(lambda: self._log_picture(f"samples/{position['weights']}", name, picture))

    def _log_picture(self, key: str, name: str, picture: Picture) -> None:
        import wandb

        self._run.log({key: wandb.Image(picture, caption=name)}, step=self._rows)

    def finish(self, status: str) -> None:
        if self._run is None:
            return
        self._safely(lambda: self._run.summary.update({"status": status}))
        if self._run is not None:
            self._safely(lambda: self._run.finish(exit_code=0 if status in ("done", "diverged") else 1))


def has_key() -> bool:
    """Whether a W&B key is configured, by environment variable or netrc; asks nobody."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import netrc

    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def wandb_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """{"split": "val", "weights": "slow", "loss": 1} -> {"val/slow/loss": 1}; positions keep their names."""
    where = f"{row['split']}/" + ("" if row["split"] == "train" else f"{row['weights']}/")
    positions = ("step", "oracle_calls", "samples", "epoch", "seconds")
    return {k if k in positions else where + k: v for k, v in row.items() if k not in ("split", "weights")}


def start(runs: list[RunDirectory]) -> NoTracker:
    """The tracker that the configuration names. Replicas are not mirrored live; `lookahead-bench sync` replays them."""
    if runs[0].config["tracker"]["name"] == "none" or len(runs) > 1:
        return NoTracker()
    return WandbTracker(runs[0])

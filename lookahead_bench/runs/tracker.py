"""W&B as a mirror of a run's rows: it can neither change nor end a run."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lookahead_bench.configuration import Config
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.tasks.base import Picture

log = logging.getLogger("lookahead_bench")
PATIENCE = 8  # seconds that the end of a run waits for W&B
AXES = ("oracle_calls", "samples", "step")
GROUP = 128  # letters that W&B takes
OFFLINE = 60  # the same without a network, where only a busy machine can take long


class Line:
    """What is said to W&B, in order, by a thread of its own, so that nothing waits for it but the end of a run.

    The first failure is told in one warning, and is the last: this process says nothing more.
    """

    def __init__(self) -> None:
        self.failed = False
        self._said: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def say(self, action: Callable[[], object]) -> None:
        if self._thread is None or not self._thread.is_alive():  # a fork has none
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._said.put(action)

    def _work(self) -> None:
        while True:
            action = self._said.get()
            if not self.failed:
                try:
                    action()
                except BaseException as error:  # SystemExit too: the run goes on without the mirror
                    self._fail(error)

    def wait(self, patience: float) -> None:
        """Until all of it is said, at most this many seconds."""
        done, end = threading.Event(), time.monotonic() + patience
        self.say(done.set)
        while not (self.failed or done.wait(0.02)):
            if time.monotonic() > end:
                self._fail(TimeoutError(f"no answer in {patience:g} s"))

    def _fail(self, error: BaseException) -> None:
        if self.failed:
            return
        self.failed = True
        reason = " ".join(str(error).split())[:200]
        log.warning("W&B is not following (%s: %s); the files of all runs are complete", type(error).__name__, reason)


LINE = Line()


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

    The files are the truth, and `lookahead-bench sync` can replay them.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run: Any = None
        self._rows = len(run.rows())  # W&B's step is the row's number in metrics.jsonl, so that none is there twice
        self._mode: Any = run.config["tracker"]["mode"]
        if self._mode == "auto":
            self._mode = os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        LINE.say(lambda: self._start(run))

    def _start(self, run: RunDirectory) -> None:
        config: Config = run.config
        node, place = config["tracker"], f"{config['results_dir']}/wandb"
        self._run = begin(
            config.run_id, config.scientific, run.studies(), project=node["project"], entity=node["entity"],
            mode=self._mode, dir=str(run.path), settings=settings(place),
        )  # fmt: skip

    def log(self, row: Mapping[str, Any]) -> None:
        step, said = self._rows, wandb_row(row)
        LINE.say(lambda: self._run.log(said, step=step))
        self._rows += 1

    def picture(self, position: Mapping[str, Any], name: str, picture: Picture) -> None:
        """One series for all pictures that differ in their step alone, beside the row that comes next."""
        step, key = self._rows, f"samples/{name.rstrip('0123456789').rstrip('-')}"
        LINE.say(lambda: self._log_picture(key, name, picture, step))

    def _log_picture(self, key: str, name: str, picture: Picture, step: int) -> None:
        import wandb

        self._run.log({key: wandb.Image(picture, caption=name)}, step=step)

    def finish(self, status: str) -> None:
        LINE.say(lambda: self._run.summary.update({"status": status}))
        LINE.say(lambda: self._run.finish(exit_code=0 if status in ("done", "diverged") else 1))
        LINE.wait(OFFLINE if self._mode == "offline" else PATIENCE)


def begin(run_id: str, config: Mapping[str, Any], studies: Sequence[str], **asked: Any) -> Any:
    """A W&B run under our own id, grouped by the study that it was done for (the first of several).

    W&B draws a metric over one other: here over oracle calls, which compare what methods cost. Steps and samples stand
    in every row beside them, so that a panel may be drawn over either.
    """
    import wandb

    resume: Literal["allow"] | None = "allow" if asked["mode"] == "online" else None
    group = studies[0][:GROUP] if studies else None
    run = wandb.init(id=run_id, name=run_id, group=group, resume=resume, config=dict(config), **asked)
    for axis in AXES:
        run.define_metric(axis)
    run.define_metric("*", step_metric=AXES[0])
    return run


def settings(place: str) -> Any:
    """W&B's settings, silent and soon tired; what it keeps for itself is below `place`. Before it is imported."""
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_CONSOLE", "off")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for folder in ("CACHE", "CONFIG", "DATA"):  # not in the home directory, which may not be ours to write
        folder = os.environ.setdefault(f"WANDB_{folder}_DIR", os.path.abspath(place))
        Path(folder).mkdir(parents=True, exist_ok=True)  # where it cannot, W&B says so in 17 lines
    import wandb

    return wandb.Settings(init_timeout=PATIENCE - 2, silent=True, console="off", x_disable_stats=True)


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
    if runs[0].config["tracker"]["name"] == "none" or len(runs) > 1 or LINE.failed:
        return NoTracker()
    return WandbTracker(runs[0])

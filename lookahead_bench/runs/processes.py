"""One run on several processes of this machine: started, watched, and ended together. No torch here.

The processes are started as torchrun starts them, with RANK and WORLD_SIZE, and do what they do under torchrun. Why not
torch's own launchers: `torch.multiprocessing` and torchrun's agent end the others with a signal as soon as one has
ended, which is a second signal to one that is just saving; lightning-fabric looks after its processes every few
seconds, and from within the first of them.
"""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from lookahead_bench.configuration import Config
from lookahead_bench.errors import InterruptedBySignal, RunError
from lookahead_bench.runs.files import atomic, write_all
from lookahead_bench.runs.signals import StopSignals
from lookahead_bench.runs.store import FINISHED, RunDirectory

GRACE = 5.0  # seconds that the others have to notice that one has gone
PLACE = "LOOKAHEAD_BENCH_PROCESSES"  # where processes that were started here meet


def count(config: Config) -> int:
    """On how many processes a run is computed."""
    return int(config["gpu"].get("processes", 1))


def meeting_place(config: Config) -> str | None:
    """Where this process, which torchrun or `start` has started, meets the others of its run; None: it is no such."""
    return os.environ.get(PLACE, "env://") if count(config) > 1 and "RANK" in os.environ else None


def follows(config: Config) -> bool:
    """Whether this process leaves files and words to another one, the first."""
    return meeting_place(config) is not None and os.environ["RANK"] != "0"


def start(config: Config, runs: Sequence[RunDirectory], signals: StopSignals) -> Any:
    """Do runs on `gpu.processes` processes; gives what `execute` gives in the first one, or raises what it raises.

    A signal goes to all of them. When one dies, the others end within seconds, and the run has failed.
    """
    size = count(config)
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")  # what a killed process leaves
    with tempfile.TemporaryDirectory(prefix="lookahead-bench-") as place:
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=_process, args=(rank, size, place, config)) for rank in range(size)]
        try:
            for process in processes:
                process.start()
            dead = watch(processes, signals)
        finally:
            for process in processes:
                if process.is_alive():
                    process.kill()
                    process.join()
        told = Path(place, "outcome")
        outcome = pickle.loads(told.read_bytes()) if told.exists() else None
    if outcome is not None and not isinstance(outcome, BaseException):
        return outcome
    if isinstance(outcome, InterruptedBySignal) or (outcome is not None and all(code > 0 for _, code in dead)):
        raise outcome
    if signals.received is not None:  # before there was anything to save
        raise InterruptedBySignal(runs[0].config.run_id, signals.received)
    rank, code = min(dead or [(0, int(processes[0].exitcode or 0))], key=lambda one: one[1])
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    reason = f"process {rank} of {size} {how}"
    bury(runs, reason)
    raise RunError(f"{runs[0].config.run_id} failed: {reason}; the same command resumes it")


def watch(processes: Sequence[SpawnProcess], signals: StopSignals) -> list[tuple[int, int]]:
    """Until all have ended, or some did not notice that one has died; gives who died first, each with its exit code."""
    told, end, dead = False, math.inf, list[tuple[int, int]]()
    while alive := [process for process in processes if process.exitcode is None]:
        multiprocessing.connection.wait([process.sentinel for process in alive], timeout=0.1)
        if signals.received is not None and not told:
            for process in alive:
                os.kill(process.pid, signals.received)  # type: ignore[arg-type]  # it has been started
            told = True
        if not dead and (dead := died(processes)):
            end = time.monotonic() + GRACE
        if time.monotonic() > end:
            break
    return dead or died(processes)


def died(processes: Sequence[SpawnProcess]) -> list[tuple[int, int]]:
    """Who has not ended as it should, and with which exit code; that of a signal is negative."""
    codes = [process.exitcode for process in processes]
    return [(rank, code) for rank, code in enumerate(codes) if code is not None and (code < 0 or 0 < code < 128)]


def bury(runs: Sequence[RunDirectory], reason: str) -> None:
    """Write why it failed, which a process that was killed could not, into the record of an unfinished run."""
    for one in runs:
        with suppress(RunError):
            one.acquire()
            try:
                record = one.record()
                if record is not None and record["status"] not in FINISHED:
                    write_all([one.record_file(record | {"status": "failed", "error": reason})])
            finally:
                one.lock.release()


def _process(rank: int, size: int, place: str, config: Config) -> None:
    """What one of the processes does: its part, and the first one says what came of it."""
    os.setsid()  # what is typed at the terminal reaches the one that started it, which passes it on
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size),
                   PLACE: f"file://{place}/store"}  # fmt: skip
    from lookahead_bench.notices import listen
    from lookahead_bench.runs.run import execute

    listen()
    status = 0
    try:
        outcome: Any = execute(config)
    except BaseException as error:
        outcome, status = error, 128 + error.number if isinstance(error, InterruptedBySignal) else 1
    if rank == 0:
        try:
            said = pickle.dumps(outcome)
            pickle.loads(said)
        except Exception:  # not every exception can be sent
            said = pickle.dumps(RuntimeError(f"{type(outcome).__name__}: {outcome}"))
        with atomic(Path(place, "outcome")) as file:
            file.write(said)
    raise SystemExit(status)


def _end_with_the_parent() -> None:
    """Who started this process has been killed: save and end, as if asked to."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGINT)

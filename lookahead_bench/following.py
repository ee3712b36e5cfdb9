"""What becomes of runs that other processes do, told from their files: a line as each ends, and one bar for all."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable

from tqdm import tqdm

from lookahead_bench.configuration import Config
from lookahead_bench.notices import complain
from lookahead_bench.runs.news import failure, news
from lookahead_bench.runs.run import result
from lookahead_bench.runs.store import FINISHED, RunDirectory

LOOK_EVERY = 0.2  # seconds, or longer where a look takes long


class Following:
    """While entered, tells of each of these jobs when its runs have come to an end.

    jobs     their configurations
    since    only what was written later is news (`news.now`)
    quiet    no line of a run that came to a result
    """

    def __init__(self, jobs: Iterable[Config], since: int, *, quiet: bool) -> None:
        self.since, self.quiet = since, quiet
        self.waited = {one.run_id: (one, unfinished(one)) for one in jobs}
        self.failed = 0
        self.bar = tqdm(total=len(self.waited), unit="run", disable=None, leave=False)  # None: a terminal has it only
        self.over, self.looking = threading.Event(), threading.Lock()
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def __enter__(self) -> Following:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()
        self.look()
        self.bar.close()

    def follow(self) -> None:
        pause = LOOK_EVERY
        while not self.over.wait(pause):
            begun = time.monotonic()
            self.look()
            self.bar.refresh()
            pause = max(LOOK_EVERY, 10 * (time.monotonic() - begun))

    def look(self) -> None:
        """Tell of those that have ended since the last look."""
        with self.looking:
            for config, runs in list(self.waited.values()):
                reason = failure(runs, self.since)
                if reason is not None or all(news(one, self.since, FINISHED) for one in runs):
                    self.tell(config, reason)

    def ended(self, config: Config, reason: str) -> None:
        """A job has ended so; tell it unless its files have."""
        self.look()
        with self.looking:
            if config.run_id in self.waited:
                self.tell(config, reason)

    def tell(self, config: Config, reason: str | None) -> None:
        from lookahead_bench.report.summary import tell

        del self.waited[config.run_id]
        if reason is not None:
            self.failed += 1
            self.bar.set_postfix_str(f"{self.failed} failed", refresh=False)
        with tqdm.external_write_mode(file=sys.stdout):
            if reason is not None:
                complain(reason)
            elif not self.quiet:
                tell([result(RunDirectory(one)) for one in config.seeds()], table=False)
        self.bar.update()


def unfinished(config: Config) -> list[RunDirectory]:
    """The runs of a job that are to be done."""
    runs = [RunDirectory(one) for one in config.seeds()]
    return [one for one in runs if one.due()]

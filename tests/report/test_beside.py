"""Work in a copy of this process: what it gives, what it raises, and that it is told when it is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lookahead_bench.errors import RunError
from lookahead_bench.report.beside import Beside


def test_it_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    begun = [Beside(pow, base, 2) for base in (3, 4)]
    assert [one.result() for one in begun] == [9, 16]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Beside(os.stat, "nowhere").result()


def test_one_that_is_killed_is_told_in_a_line() -> None:
    with pytest.raises(RunError, match="was killed"):
        Beside(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()


def test_ctrl_c_leaves_it_to_its_work(tmp_path: Path) -> None:
    def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "done"

    one = Beside(work)
    one.wait()
    assert one.result() == "done"
    outlived = Beside(lambda: (time.sleep(0.2), (tmp_path / "there").touch()))
    del outlived  # nobody waits for it
    time.sleep(0.6)
    assert (tmp_path / "there").exists()

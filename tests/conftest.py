"""Fixtures for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lookahead_bench.data.download import locked


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncs outlast a power cut, which nothing here simulates; a busy disk takes a tenth of a second for each."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A data root with the real, whole data sets; the test is skipped where there is none."""
    if named := os.environ.get("LOOKAHEAD_BENCH_DATA"):
        return Path(named)
    tool = Path(__file__).resolve().parents[2] / "shared" / "tools" / "unpack_data.py"
    if not tool.exists():
        pytest.skip("no real data: set LOOKAHEAD_BENCH_DATA to a data root that has it")
    root = Path(tempfile.gettempdir()) / "lookahead-bench-test-data"
    root.mkdir(exist_ok=True)
    with locked(root / ".lock"):  # several test processes share it, and a second session finds it ready
        subprocess.run([sys.executable, tool, root], check=True, capture_output=True)
    return root

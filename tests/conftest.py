"""Fixtures for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lookahead_bench.data.download import locked


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

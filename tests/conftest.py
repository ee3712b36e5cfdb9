"""Fixtures for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig

from lookahead_bench.configuration.compose import Loader
from lookahead_bench.data.download import locked

NAMED = os.environ.get("LOOKAHEAD_BENCH_DATA")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncs outlast a power cut, which nothing here simulates; a busy disk takes a tenth of a second for each."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture(scope="session", autouse=True)
def choices_are_composed_once() -> Iterator[None]:
    """Every configuration of this process shares what a sweep's jobs share: the composed choices of groups."""
    with pytest.MonkeyPatch.context() as patched:
        chosen: dict[tuple[str, ...], DictConfig] = {}
        made = Loader.__init__
        patched.setattr(Loader, "__init__", lambda self, path: (made(self, path), setattr(self, "_chosen", chosen))[0])
        yield


@pytest.fixture(scope="session", autouse=True)
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every run's data directory unless it names another: an empty one, in which the classifier of the embedded digits
    is trained once a session, by the first run that needs it."""
    with pytest.MonkeyPatch.context() as patched:
        root = tmp_path_factory.mktemp("data")
        patched.setenv("LOOKAHEAD_BENCH_DATA", str(root))
        yield root


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A data root with the real, whole data sets; the test is skipped where there is none."""
    if NAMED:
        return Path(NAMED)
    tool = Path(__file__).resolve().parents[2] / "shared" / "tools" / "unpack_data.py"
    if not tool.exists():
        pytest.skip("no real data: set LOOKAHEAD_BENCH_DATA to a data root that has it")
    root = Path(tempfile.gettempdir()) / "lookahead-bench-test-data"
    root.mkdir(exist_ok=True)
    with locked(root / ".lock"):  # several test processes share it, and a second session finds it ready
        subprocess.run([sys.executable, tool, root], check=True, capture_output=True)
    return root


# ------------------------------------------------------------------------------------------------ `make test-faults`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no core waits for one at the end; every fault says its group."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        if mark := item.get_closest_marker("fault"):
            item.user_properties.append(("group", mark.args[0]))


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """survived(n): the test has injected n faults instead of one."""
    return lambda n: request.node.user_properties.append(("faults", n))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many faults of each group were survived."""
    if not config.getoption("-m").startswith("fault"):
        return
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            properties = dict(report.user_properties)
            if "group" in properties and (outcome != "passed" or report.when == "call"):
                counts.setdefault(properties["group"], Counter())[outcome] += properties.get("faults", 1)
    for group, count in sorted(counts.items()):
        lost = "".join(f", {n} {outcome}" for outcome, n in count.items() if outcome != "passed")
        terminalreporter.write_line(f"{group:<16}{count['passed']:>5} survived{lost}")
    survived, every = sum(count["passed"] for count in counts.values()), sum(map(Counter.total, counts.values()))
    terminalreporter.write_line(f"{survived} of {every} faults survived")

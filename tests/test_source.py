"""What a constructor takes, read from source, must be what the imported class says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lookahead_bench.configuration import source
from lookahead_bench.configuration.targets import parameters_of

TORCH = [n for n in vars(torch.optim) if isinstance(getattr(torch.optim, n), type) and n != "Optimizer"]


@pytest.mark.parametrize("name", TORCH)
def test_torchs_own_optimizers(name: str) -> None:
    path = f"torch.optim.{name}"
    assert source.missing(path) is None
    assert source.derives(path, source.OPTIMIZER) is True
    assert source.arguments(path) == {"params", *parameters_of(getattr(torch.optim, name))}


def test_what_is_no_optimizer_or_not_there() -> None:
    assert source.derives("torch.optim.lr_scheduler.StepLR", source.OPTIMIZER) is False
    assert "SGD" in (source.missing("torch.optim.SDG") or [])
    assert source.missing("no_such_module.Anything") is None  # only the import can tell


SOURCES = {
    "own/__init__.py": "from .deep import *\nfrom .deep.core import Inherits, Takes\nimport own.deep.core as core",
    "own/deep/__init__.py": "",
    "own/deep/core.py": """
import torch
from torch.optim import SGD, Optimizer
import torch.optim as optim

class Takes(SGD):
    def __init__(self, params, lr=0.1, *, twist: float = 0.5): ...

class Inherits(optim.Adam): ...

class Anything(Optimizer):
    def __init__(self, params, **kwargs): ...

class Plain:
    def __init__(self, x): ...

if True:
    class Hidden(Takes): ...
Alias = Takes
""",
    "own/late.py": "def __getattr__(name): ...",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    source.names.cache_clear()


@pytest.mark.usefixtures("own")
def test_reexports_inheritance_and_what_source_cannot_tell() -> None:
    assert source.arguments("own.Takes") == {"params", "lr", "twist"}
    assert source.derives("own.Takes", source.OPTIMIZER) is True
    assert source.arguments("own.deep.core.Hidden") == {"params", "lr", "twist"}
    assert source.derives("own.Inherits", source.OPTIMIZER) is True
    assert "amsgrad" in (source.arguments("own.Inherits") or ())
    assert source.arguments("own.deep.core.Anything") is None
    assert source.derives("own.deep.core.Plain", source.OPTIMIZER) is False
    assert source.missing("own.deep.core.Takse") == [
        "Anything",
        "Hidden",
        "Inherits",
        "Optimizer",
        "Plain",
        "SGD",
        "Takes",
    ]
    for path in ("own.deep.core.Alias", "own.late.Anything", "own.Whatever"):
        assert source.missing(path) is None
        assert source.derives(path, source.OPTIMIZER) is None
    assert "own" not in sys.modules


def test_nothing_is_imported() -> None:
    code = (
        "import sys; from lookahead_bench.configuration import source;"
        "source.arguments('torch.optim.AdamW'), source.derives('torch.optim.SGD', source.OPTIMIZER);"
        "assert not {'torch', 'hydra', 'omegaconf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

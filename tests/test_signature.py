"""What the source of a class says, without importing it, is what importing it says."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch

from lookahead_bench import signature

NAMES = [
    name
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
]


@pytest.mark.parametrize("name", NAMES)
def test_torch_optimizers_are_read_right(name: str) -> None:
    path = f"torch.optim.{name}"
    assert signature.is_optimizer(path) is True
    real = set(inspect.signature(getattr(torch.optim, name)).parameters)
    assert signature.arguments(path) == real


@pytest.mark.parametrize("path", ["torch.optim.lr_scheduler.StepLR", "torch.nn.modules.linear.Linear"])
def test_other_classes_are_no_optimizers(path: str) -> None:
    assert signature.is_optimizer(path) is False


def test_what_is_not_there_is_missing() -> None:
    assert "Adam" in (signature.missing("torch.optim.Adm") or [])
    assert signature.missing("torch.optim.Adam") is None


def test_where_the_source_cannot_tell_the_answer_is_none() -> None:
    assert signature.arguments("builtins.dict") is None
    assert signature.is_optimizer("no_such_package.Class") is None


def test_reading_imports_nothing() -> None:
    code = (
        "import sys; from lookahead_bench import signature as s; s.is_optimizer('torch.optim.Adam');"
        "s.arguments('torch.optim.SGD'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

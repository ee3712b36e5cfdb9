"""What `auto` comes to, by how heavy the work is."""

from __future__ import annotations

import shutil

import pytest
import torch
from tiny_runs import machine

from lookahead_bench import hardware
from lookahead_bench.errors import ConfigError
from lookahead_bench.hardware import COMPILE_PAYS_FROM, HEAVY, Machine, device_of


@pytest.mark.parametrize("work", [0.0, HEAVY / 2, HEAVY, 10 * HEAVY])
def test_threads_are_shared_by_heavy_work_only(work: float) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert machine().settle(work=work).threads == (2 if work >= HEAVY else 1)
        assert machine(threads=3).settle(work=work).threads == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("compiler", ["g++", None])
@pytest.mark.parametrize("flags", [{"amx_bf16"}, set()])
@pytest.mark.parametrize("work", [HEAVY / 2, HEAVY])
@pytest.mark.parametrize("samples", [COMPILE_PAYS_FROM - 1, COMPILE_PAYS_FROM])
def test_compiled_is_what_is_heavy_and_long_on_a_processor_that_gains(
    samples: float, work: float, flags: set[str], compiler: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(shutil, "which", lambda name: compiler)
    expected = samples >= COMPILE_PAYS_FROM and work >= HEAVY and bool(flags) and compiler is not None
    node = machine().node
    assert Machine(node, torch.device("cpu"), samples).settle(work=work).compile is expected
    on_cuda = Machine(node, torch.device("cuda:0"), samples).settle(work=work)
    assert on_cuda.compile is (samples >= COMPILE_PAYS_FROM and work >= HEAVY)


def test_what_the_user_sets_is_not_decided() -> None:
    settings = machine(channels_last=True, compile=True, fused=False).settle(fused=True)
    assert (settings.channels_last, settings.compile, settings.fused) == (True, True, False)
    settings = machine().settle(convolutional=True, fused=True)
    assert (settings.channels_last, settings.compile, settings.fused) == (True, False, True)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert device_of("cpu", network=True) == torch.device("cpu")
    assert device_of("auto", network=True).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of("auto", network=False).type == "cpu"  # a toy's few numbers
    with pytest.raises(ConfigError, match=r"gpu\.device=cuda:99: this machine has \d+ CUDA devices; use gpu=auto"):
        device_of("cuda:99", network=False)

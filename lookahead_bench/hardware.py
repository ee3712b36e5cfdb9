"""How a run is computed: device, memory layout, compilation, fused steps; and what this machine and checkout are."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lookahead_bench.errors import ConfigError
from lookahead_bench.machine import processor
from lookahead_bench.ranks import ALONE, Ranks

COMPILE_PAYS_FROM = 200_000  # training samples; compiling a ResNet takes tens of seconds
HEAVY = 1e8  # multiply-adds of a forward pass from which on threads and compilation pay


@dataclass(frozen=True)
class Settings:
    """The `gpu` node with every `auto` decided. None of it is part of a run's identity."""

    device: torch.device
    channels_last: bool
    compile: bool
    fused: bool
    threads: int  # of a processor's operations; one where they are too small to share


@functools.cache
def cpu_flags() -> frozenset[str]:
    """The processor's features as Linux names them; empty where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.split(":")[1].split()) for line in lines if line.startswith("flags")), frozenset())


def device_of(name: str, *, network: bool) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> the device; auto: a GPU where there is one, for networks.

    A toy's few numbers are done before a kernel has been launched. Errors: ConfigError where it is not there.
    """
    if name == "auto":
        name = "cuda" if network and torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count <= int(name[5:] or 0):
            raise ConfigError(f"gpu.device={name}: this machine has {count} CUDA devices; use gpu=auto or gpu=cpu")
    return torch.device(name)


@dataclass(frozen=True)
class Machine:
    """Where a run is computed, and what its `gpu` node leaves open.

    node     the `gpu` node
    device   the one that it names
    samples  training samples of the whole run, over which compiling has to pay
    ranks    the processes that compute it together
    """

    node: Mapping[str, Any]
    device: torch.device
    samples: float = 0.0
    ranks: Ranks = ALONE

    def among(self, ranks: Ranks) -> Machine:
        """This process's part of the machine."""
        return replace(self, device=ranks.device(self.device), ranks=ranks)

    def settle(
        self, *, work: float = 0.0, convolutional: bool = False, fused: bool = False, compiled: bool = True
    ) -> Settings:
        """Decide every `auto`.

        work: multiply-adds of one forward pass; channels_last: for convolutional networks; compile: on CUDA and on
        processors with AMX (elsewhere it was seen to lose), for heavy work and at least COMPILE_PAYS_FROM samples, and
        where the task says that its networks can be (`compiled`);
        fused: not for a toy, whose few numbers are done before a fused kernel has started.
        """
        heavy = work >= HEAVY
        compiler = self.device.type == "cuda" or ("amx_bf16" in cpu_flags() and shutil.which("g++") is not None)
        decided: dict[str, Any] = {
            "channels_last": convolutional,
            "compile": compiled and heavy and self.samples >= COMPILE_PAYS_FROM and compiler,
            "fused": fused,
            # Small operations on several threads are slower, and crawl when other programs want the same cores.
            "threads": max(1, torch.get_num_threads() // self.ranks.here) if heavy or self.device.type != "cpu" else 1,
        }
        return Settings(
            self.device, **{k: auto if self.node[k] == "auto" else self.node[k] for k, auto in decided.items()}
        )


def describe(settings: Settings, processes: int) -> dict[str, Any]:
    """The machine, for run.json."""
    found: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count(), "threads": settings.threads}
    if settings.device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(settings.device)
    return found | {
        "device": str(settings.device),
        "channels_last": settings.channels_last,
        "compile": settings.compile,
        "fused": settings.fused,
        "processes": processes,
    }


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    found = {"python": platform.python_version()}
    for package in ("lookahead-bench", "torch", "torchvision", "numpy", "hydra-core", "wandb"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@functools.cache
def git_revision() -> str | None:
    """The commit of this checkout, with "-dirty" where files differ; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def command_line() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])

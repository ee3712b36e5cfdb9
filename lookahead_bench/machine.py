"""What this machine computes with, as far as Linux tells; imports no torch."""

from __future__ import annotations

import functools
import platform
from pathlib import Path


@functools.cache
def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


@functools.cache
def graphics() -> tuple[str, ...]:
    """The NVIDIA GPUs by name."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return tuple(line.split(":")[1].strip() for line in lines if line.startswith("Model"))

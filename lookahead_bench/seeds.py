"""Random streams as pure functions: nothing random is ever saved, so a resumed run draws what it would have drawn."""

from __future__ import annotations

import hashlib

import torch

PURPOSES = ("init", "order", "augmentation", "dropout", "latent", "noise", "data", "split", "statistics", "scores")


def derive(seed: int, purpose: str, *position: int) -> int:
    """A 63-bit seed for one purpose at one position, e.g. derive(3, "order", epoch).

    The same (seed, purpose, position) always gives the same number, on every machine; different ones are
    independent for all that matters here (blake2b).
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose={purpose!r}: not one of {', '.join(PURPOSES)}")
    text = ":".join(map(str, (seed, purpose, *position)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *position: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator at the start of the stream of one purpose and position."""
    return torch.Generator(device=device).manual_seed(derive(seed, purpose, *position))

"""Runs that do not wait for the disk."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncs outlast a power cut, which nothing here simulates; a busy disk takes a tenth of a second for each."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)

"""What git says of files in this checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["ignored"]


def ignored(folder: Path, names: Sequence[str]) -> list[str]:
    """Return those of some paths in a folder that git ignores; skip the test without a checkout."""
    done = subprocess.run(
        ["git", "check-ignore", *names], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()

"""What a figure was measured on: kept with every result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tunesmith.analysis.bench.compare import machine


def facts() -> dict[str, Any]:
    """Processor, memory, load, versions and the command."""
    return {
        **machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "commit": _commit(),
        "command": " ".join(["python", *map(_as_seen_from_here, sys.argv)]),
    }


def _as_seen_from_here(argument: str) -> str:
    """Paths say nothing about the machine."""
    return os.path.relpath(argument) if Path(argument).is_absolute() else argument


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()

"""What a test needs of the system: without it the test is skipped, and the reason names it.

Tests ask for a capability, never for the name of a system, so that on Windows or macOS whatever can
run there does.
"""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["CAPABILITIES", "needs"]


def _makes_links() -> bool:
    """Windows makes them only for users with the right to."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "link").symlink_to("target")
        except (OSError, NotImplementedError):
            return False
    return True


def _keeps_modes() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").touch()
        Path(folder, "file").chmod(0o640)
        return stat.S_IMODE(Path(folder, "file").stat().st_mode) == 0o640


CAPABILITIES = {
    "fork": hasattr(os, "fork"),
    "signals": hasattr(signal, "SIGKILL"),  # that reach a process, and end it
    "links": _makes_links(),
    "modes": _keeps_modes(),
    "pipes": hasattr(os, "mkfifo"),
    "limits": find_spec("resource") is not None,
    "flock": find_spec("fcntl") is not None,
    "terminal": find_spec("termios") is not None,
    "/proc": Path("/proc/self/fd").exists(),
    "/dev": Path("/dev/full").exists(),
}


def needs(*names: str) -> pytest.MarkDecorator:
    """A mark: the test is skipped where the system lacks one of these capabilities."""
    lacking = [name for name in names if not CAPABILITIES[name]]
    return pytest.mark.skipif(bool(lacking), reason=f"needs {', '.join(lacking or names)}")

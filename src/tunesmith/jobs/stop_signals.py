"""The signals that ask a run to stop."""

from __future__ import annotations

import signal

__all__ = ["HANGUP", "SIGNALS"]

SIGNALS = tuple(
    getattr(signal, name)
    for name in (
        "SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGHUP", "SIGQUIT", "SIGBREAK"
    )
    if hasattr(signal, name)
)  # fmt: skip
"""Those that a system has."""

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""A terminal was closed; under `nohup` it is ignored."""

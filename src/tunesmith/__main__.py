"""The program: `tunesmith` and `python -m tunesmith`, also as torchrun and accelerate run it."""

from __future__ import annotations

import sys

from tunesmith.jobs import worker

__all__ = ["run"]


def run() -> int:
    """Run the command that `sys.argv` names, and return its exit code."""
    worker.begin()
    from tunesmith.cli import main

    return worker.end(main())


if __name__ == "__main__":
    sys.exit(run())

"""The program `tunesmith`; and `python -m tunesmith.launch`, the same as `tunesmith launch`."""

from __future__ import annotations

import sys

from tunesmith.jobs import worker

__all__ = ["run"]


def run() -> int:
    """Run the command that `sys.argv` names, and return its exit code."""
    worker.begin()  # signals are answered before the commands are loaded
    from tunesmith.cli import main

    return worker.end(main())


if __name__ == "__main__":
    sys.argv.insert(1, "launch")
    sys.exit(run())

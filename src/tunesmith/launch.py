"""`python -m tunesmith.launch`, the same as `python -m tunesmith launch`."""

from __future__ import annotations

import sys

from tunesmith.jobs import worker

__all__ = ()

if __name__ == "__main__":
    worker.begin()
    from tunesmith.cli import main

    sys.argv.insert(1, "launch")
    sys.exit(worker.end(main()))

"""`python -m tunesmith.launch`, the same as `python -m tunesmith launch`."""

from __future__ import annotations

import sys

from tunesmith.__main__ import run

__all__ = ()

if __name__ == "__main__":
    sys.argv.insert(1, "launch")
    sys.exit(run())

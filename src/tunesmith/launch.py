"""`python -m tunesmith.launch`, the same as `tunesmith launch`."""

from __future__ import annotations

import sys

from tunesmith.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.argv.insert(1, "launch")
    sys.exit(main())

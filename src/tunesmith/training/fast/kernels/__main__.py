"""Compile the kernels ahead of the first training: for images, and for tests."""

from __future__ import annotations

import sys

from tunesmith.training.fast.kernels import why_missing

if __name__ == "__main__":
    sys.exit(why_missing())

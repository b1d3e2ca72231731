"""`python -m tunesmith`, which is also what `torchrun -m` and `accelerate launch -m` run."""

from __future__ import annotations

import sys

from tunesmith.launch import run

if __name__ == "__main__":
    sys.exit(run())

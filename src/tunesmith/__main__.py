"""`python -m tunesmith`, which is also what `torchrun -m` and `accelerate launch -m` run."""

from __future__ import annotations

import sys

from tunesmith.jobs import worker

if __name__ == "__main__":
    worker.begin()
    from tunesmith.cli import main

    sys.exit(worker.end(main()))

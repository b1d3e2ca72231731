"""Training: the plan, the loop, the engines and checkpoints."""

from __future__ import annotations

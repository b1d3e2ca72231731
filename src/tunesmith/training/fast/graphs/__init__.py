"""The fast engine on a GPU: passes and updates as CUDA graphs."""

from __future__ import annotations

"""The fast engine: how a step is computed by faster means, never what it computes."""

from __future__ import annotations

"""What a finished run gives people: a plain model folder with its card, and `load` for it."""

from __future__ import annotations

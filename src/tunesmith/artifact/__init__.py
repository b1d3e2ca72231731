"""What a finished run gives people: a plain model folder with its card, loaded again with `load`."""

from __future__ import annotations

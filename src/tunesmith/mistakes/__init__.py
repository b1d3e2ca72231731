"""What a finished run gets wrong, and which labels are probably wrong themselves. No torch."""

from __future__ import annotations

from tunesmith.mistakes.examined import SPLITS, Examined, examine
from tunesmith.mistakes.judged import Confusion, Judged
from tunesmith.mistakes.slices import Slice

__all__ = ["SPLITS", "Confusion", "Examined", "Judged", "Slice", "examine"]

"""What a finished run gets wrong, and which labels are probably wrong themselves. No torch."""

from __future__ import annotations

from tunesmith.analysis.label_errors.examine import SPLITS, Examined, examine
from tunesmith.analysis.label_errors.ranking import Confusion, Judged
from tunesmith.analysis.label_errors.slices import Slice

__all__ = ["SPLITS", "Confusion", "Examined", "Judged", "Slice", "examine"]

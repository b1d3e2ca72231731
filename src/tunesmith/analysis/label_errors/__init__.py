"""What a finished run gets wrong, and which labels are probably wrong themselves. No torch."""

from __future__ import annotations

from tunesmith.analysis.label_errors.examine import SPLITS, ErrorAnalysis, examine
from tunesmith.analysis.label_errors.ranking import Confusion, RowError
from tunesmith.analysis.label_errors.slices import Slice

__all__ = ["SPLITS", "Confusion", "ErrorAnalysis", "RowError", "Slice", "examine"]

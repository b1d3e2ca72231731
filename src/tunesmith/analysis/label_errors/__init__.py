"""The errors of a finished run, and labels that are probably wrong. No torch."""

from __future__ import annotations

from tunesmith.analysis.label_errors.examine import SPLITS, ErrorAnalysis, examine
from tunesmith.analysis.label_errors.ranking import Confusion, RowError, Slice

__all__ = ["SPLITS", "Confusion", "ErrorAnalysis", "RowError", "Slice", "examine"]

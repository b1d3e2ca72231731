"""What the curves of a run say: what happened, how sure that is, and the one change to try.

Pure: numbers in, readings out. No torch, no files.
"""

from __future__ import annotations

from tunesmith.analysis.curves.diagnosis import (
    Change,
    Reading,
    Verdict,
    change_to_try,
    without_longer,
)
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.analysis.curves.rules import read
from tunesmith.analysis.curves.series import Answers, Curves

__all__ = [
    "Answers",
    "Change",
    "Confidence",
    "Curves",
    "Reading",
    "Verdict",
    "change_to_try",
    "read",
    "without_longer",
]

"""What the curves of a run say: what happened, how sure that is, and the one change to try.

Pure: numbers in, readings out. No torch, no files.
"""

from __future__ import annotations

from tunesmith.curves.measured import Answers, Curves
from tunesmith.curves.noise import Sureness
from tunesmith.curves.reading import Change, Reading, Verdict, change_to_try, without_longer
from tunesmith.curves.rules import read

__all__ = [
    "Answers",
    "Change",
    "Curves",
    "Reading",
    "Sureness",
    "Verdict",
    "change_to_try",
    "read",
    "without_longer",
]

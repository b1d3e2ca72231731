"""Inputs: from what was asked to rows that are fit to train on. No torch, no tokenizer yet.

`look` opens the data and fills in what was left out. `check` reads every row once, tells all
problems together, learns the labels and draws the shares; `audited`, it also tells what is odd
about the rows as a whole: leaks, duplicates, classes, lengths.
"""

from tunesmith.inputs.resolve import ResolvedInputs, look, reading_options
from tunesmith.inputs.validate import Split, ValidatedInputs, check, check_other

__all__ = [
    "ResolvedInputs",
    "Split",
    "ValidatedInputs",
    "check",
    "check_other",
    "look",
    "reading_options",
]

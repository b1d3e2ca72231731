"""From a recipe to rows that are fit to train on, without torch and without a tokenizer.

`look` opens the data and fills in what the recipe leaves out. `check` reads every row once, reports
all problems together, learns the labels and draws random splits; with `audited` it also reports
problems of the rows as a whole: leaks, duplicates, classes, lengths.
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

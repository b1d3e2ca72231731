"""From a recipe to rows that are fit to train on, without torch and without a tokenizer.

`resolve_inputs` opens the data and fills in what the recipe leaves out. `validate_inputs` reads
every row once, reports all problems together, learns the labels and draws random splits; with
`audited=True` it also reports problems of the rows as a whole: leaks, duplicates, classes, lengths.
"""

from tunesmith.inputs.resolve import ResolvedInputs, reading_options, resolve_inputs
from tunesmith.inputs.validate import Split, ValidatedInputs, validate_inputs, validate_split

__all__ = [
    "ResolvedInputs",
    "Split",
    "ValidatedInputs",
    "reading_options",
    "resolve_inputs",
    "validate_inputs",
    "validate_split",
]

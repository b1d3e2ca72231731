"""Data in the shapes that other tools write, as rows that tasks read.

A shape is a function in a module of its own, listed in `SHAPES`: it recognizes a source by its
columns and first values and wraps it; places of rows stay those of the file. `data.open` passes
every source through `canonical`.

Canonical values, and the type of their column:

"tokens"    a list of words
"tags"      a list of one tag for each word
"entities"  a list of {"start", "end", "label"}, in characters (code points), the end exclusive
"choices"   a list of texts, with a "question" and maybe a "context", or an "article" of several
            questions
"choice"    which of the choices is right, from 0; None for no label
"answers"   a list of {"text", "answer_start"} for a "question" on a "context", in characters;
            empty if it has no answer, None for no label; see `questions`
"query"     a text, with a "passage" that is relevant to it or not, as a "label" of 1 or 0 says
"""

from __future__ import annotations

from tunesmith.data.rows import Source
from tunesmith.data.shapes import (
    articles,
    choices,
    passages,
    questions,
    spans,
    token_lists,
    word_rows,
)
from tunesmith.data.shapes.shape import Sample, Shape

__all__ = ["SHAPES", "canonical"]

SHAPES: tuple[Shape, ...] = (
    token_lists.recognize,
    word_rows.recognize,
    spans.recognize,
    articles.recognize,
    choices.recognize,
    questions.recognize,
    passages.recognize,
)
"""In the order in which they are tried."""


def canonical(source: Source, offsets: str | None = None) -> Source:
    """Return a source with canonical values, wrapped by the first shape that recognizes it.

    Args:
        source: as it was opened.
        offsets: how positions in texts are counted; None: as nearly all rows agree.
    """
    sample = Sample(source, offsets)
    sources = (shape(sample) for shape in SHAPES)
    return next((wrapped for wrapped in sources if wrapped is not None), source)

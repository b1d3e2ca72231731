"""`embedded:long`: reports of a day in a restaurant, and what a guest said on it.

One sentence decides the class. In short reports it is one of a few sentences. In long ones more
than 512 words or Chinese characters come before it, where a model of 512 tokens does not read any
more. The other sentences say nothing of the class.
"""

from __future__ import annotations

from tunesmith.data.embedded.grammar import Draw, Piece, distinct_rows, join, observe, say
from tunesmith.data.embedded.tickets import CLASSES as TICKETS
from tunesmith.data.embedded.words import Language

__all__ = ["CLASSES", "SIZES", "make_long"]

CLASSES = ("complaint", "praise", "refund")
SIZES = {"train": 480, "validation": 120, "test": 240}
_SEED = 20_260_108
_LONG = 0.4
_BEFORE = 512
_MORE = 120
"""Most words or characters between the first 512 and the sentence, and again behind it."""


def make_long() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split; no text occurs twice."""
    draw = Draw(_SEED)
    return distinct_rows(SIZES, lambda: _report(draw), lambda row: (row["text"],))


def _report(draw: Draw) -> dict[str, object]:
    language: Language = draw.pick(("en", "zh"), (3, 2))
    label = draw.pick(CLASSES)
    said = say(observe(draw, draw.pick(TICKETS[label][1])), language, draw)
    if draw.fraction() < _LONG:
        before = _others(_BEFORE + draw.below(_MORE), language, draw)
        after = _others(draw.below(_MORE), language, draw)
    else:
        before, after = _others(draw.below(20), language, draw), []
    pieces = join([*before, said, *after], language, draw)
    text = "".join(piece.text for piece in pieces)
    return {"text": text, "label": label, "language": language}


def _others(least: int, language: Language, draw: Draw) -> list[list[Piece]]:
    """Return sentences of at least so many words or characters in all."""
    sentences, size = [], 0
    while size < least:
        sentence = _other(language, draw)
        text = "".join(piece.text for piece in sentence)
        size += len(text.split()) if language == "en" else len(text)
        sentences.append(sentence)
    return sentences


def _other(language: Language, draw: Draw) -> list[Piece]:
    return say(observe(draw), language, draw)

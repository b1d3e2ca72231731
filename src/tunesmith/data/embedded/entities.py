"""`embedded:entities`: messages as tokens, each with a BIO tag: dishes, quantities, times.

Ramshaw and Marcus, "Text chunking using transformation-based learning" (1995): B begins an entity,
I continues it, O is outside.
"""

from __future__ import annotations

import re

from tunesmith.data.embedded.frames import FRAMES
from tunesmith.data.embedded.grammar import Draw, Piece, distinct_rows, join, observe, say
from tunesmith.data.embedded.words import Language

__all__ = ["SIZES", "TAGS", "make_entities"]

SIZES = {"train": 1200, "validation": 240, "test": 240}
_SEED = 20_260_105
_ENTITIES = {
    "dish": "DISH",
    "ingredient": "INGREDIENT",
    "count": "QUANTITY",
    "weight": "QUANTITY",
    "time": "TIME",
    "span": "TIME",
}
TAGS = ("O", *(f"{part}-{name}" for name in dict.fromkeys(_ENTITIES.values()) for part in "BI"))


def make_entities() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split."""
    draw = Draw(_SEED)

    def make() -> dict[str, object]:
        language: Language = draw.pick(("en", "zh"), (3, 2))
        facts = [observe(draw, draw.pick(FRAMES)) for _f in range(draw.pick((1, 2, 5), (4, 4, 1)))]
        pieces = join([say(fact, language, draw) for fact in facts], language, draw)
        tokens, tags = _tagged(pieces)
        return {"tokens": tokens, "tags": tags, "language": language}

    return distinct_rows(SIZES, make, lambda row: (str(row["tokens"]),))


def _tagged(pieces: list[Piece]) -> tuple[list[str], list[str]]:
    """Return English words, Chinese characters and punctuation, and the tag of each."""
    tokens: list[str] = []
    tags: list[str] = []
    for piece in pieces:
        words = re.findall(r"[A-Za-z0-9'-]+|[^\sA-Za-z0-9]", piece.text)
        name = _ENTITIES.get(piece.concept.kind) if piece.concept else None
        tokens += words
        tags += ["O" if name is None else f"{'BI'[i > 0]}-{name}" for i in range(len(words))]
    return tokens, tags

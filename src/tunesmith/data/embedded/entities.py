"""`embedded:entities`: messages as tokens, each with a BIO tag: dishes, quantities, times.

`embedded:spans` has the same messages as texts, with entities in characters; some begin with an
emoji, which other tools count as two.

Ramshaw and Marcus, "Text chunking using transformation-based learning" (1995): B begins an entity,
I continues it, O is outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tunesmith.data.embedded.frames import FRAMES
from tunesmith.data.embedded.grammar import Draw, Piece, distinct_rows, join, observe, say
from tunesmith.data.embedded.words import Language

__all__ = ["SIZES", "TAGS", "make_entities", "make_spans"]

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


_EMOJI = ("\U0001f35c", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f373", "\u2615")
_WITH_EMOJI = 0.25


def make_entities() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split."""
    columns = ("tokens", "tags", "language")
    return {
        split: [{name: row[name] for name in columns} for row in rows]
        for split, rows in _make().items()
    }


def make_spans() -> dict[str, list[dict[str, object]]]:
    """Make the same rows as texts with entities."""
    draw = Draw(_SEED + 1)
    return {
        split: [{**_with_spans(row["pieces"], draw), "language": row["language"]} for row in rows]
        for split, rows in _make().items()
    }


def _make() -> dict[str, list[dict[str, Any]]]:
    draw = Draw(_SEED)

    def make() -> dict[str, object]:
        language: Language = draw.pick(("en", "zh"), (3, 2))
        facts = [observe(draw, draw.pick(FRAMES)) for _f in range(draw.pick((1, 2, 5), (4, 4, 1)))]
        pieces = join([say(fact, language, draw) for fact in facts], language, draw)
        tokens, tags = _tagged(pieces)
        return {"tokens": tokens, "tags": tags, "language": language, "pieces": pieces}

    return distinct_rows(SIZES, make, lambda row: (str(row["tokens"]),))


def _with_spans(pieces: Sequence[Piece], draw: Draw) -> dict[str, object]:
    text = f"{draw.pick(_EMOJI)} " if draw.fraction() < _WITH_EMOJI else ""
    entities = []
    for piece in pieces:
        name = _ENTITIES.get(piece.concept.kind) if piece.concept else None
        if name is not None:
            start = len(text) + len(piece.text) - len(piece.text.lstrip())
            end = len(text) + len(piece.text.rstrip())
            entities.append({"start": start, "end": end, "label": name})
        text += piece.text
    return {"text": text, "entities": entities}


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

"""`embedded:pairs`: two messages, and whether they mean the same; columns like GLUE MRPC.

Equivalent messages have one meaning and few words in common. Others differ in one thing: a number,
a negation, who did it to whom, another ingredient. Both kinds have equally many words in common, so
that common words do not tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunesmith.data.embedded.grammar import (
    Draw,
    Fact,
    Piece,
    distinct_rows,
    distort,
    join,
    observe,
    say,
)
from tunesmith.data.embedded.words import Language

__all__ = ["CLASS_NAMES", "SIZES", "draw_facts", "make_pairs", "message"]

CLASS_NAMES = ("not_equivalent", "equivalent")
SIZES = {"train": 3668, "validation": 408, "test": 1725}
_SEED = 20_260_102
_EQUIVALENT = 0.67
_TRIES = 2

_OPENERS: dict[Language, tuple[str, ...]] = {
    "en": ("please note: ", "by the way, ", "as we said on the phone, ", "a short reminder: "),
    "zh": ("请注意：", "顺便说一句，", "电话里说过，", "提醒一下："),
}


def make_pairs() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split; no sentence occurs twice in the whole set."""
    draw = Draw(_SEED)

    def make() -> dict[str, object]:
        first = second = ""
        while first == second:
            label = int(draw.fraction() < _EQUIVALENT)
            first, second = _pair(draw, same=bool(label))
        return {"sentence1": first, "sentence2": second, "label": label}

    splits = distinct_rows(SIZES, make, lambda row: (row["sentence1"], row["sentence2"]))
    for rows in splits.values():
        for i, row in enumerate(rows):
            row["idx"] = i
    return splits


def draw_facts(draw: Draw) -> list[Fact]:
    """Draw the facts of a message: mostly one or two, sometimes many."""
    count = draw.pick((1, 2, 3, 7), (6, 3, 0.6, 0.15))
    return [observe(draw) for _fact in range(count)]


def message(facts: Sequence[Fact], language: Language, draw: Draw) -> str:
    """Write facts as a message, mostly in their order, sometimes with an opening phrase."""
    ordered = draw.shuffled(facts) if draw.fraction() < 0.2 else facts
    sentences = [say(fact, language, draw) for fact in ordered]
    if draw.fraction() < 0.25:
        sentences[0] = [Piece(draw.pick(_OPENERS[language])), *sentences[0]]
    return "".join(piece.text for piece in join(sentences, language, draw))


def _pair(draw: Draw, *, same: bool) -> tuple[str, str]:
    """Make two pairs; return the one whose overlap is nearer to a random target."""
    language: Language = draw.pick(("en", "zh"), (3, 2))
    facts = draw_facts(draw)
    others = list(facts)
    if not same:
        place = draw.below(len(facts))
        others[place] = distort(facts[place], draw)
    target = 0.35 + 0.5 * draw.fraction()
    tries = [
        (message(facts, language, draw), message(others, language, draw)) for _try in range(_TRIES)
    ]
    return min(tries, key=lambda pair: abs(_in_common(*pair) - target))


def _in_common(first: str, second: str) -> float:
    """Return the Jaccard similarity of the words of two texts, of the characters in Chinese."""
    one, two = (set(re.findall(r"[a-z0-9-]+|[^\sa-z0-9]", t.lower())) for t in (first, second))
    return len(one & two) / len(one | two)

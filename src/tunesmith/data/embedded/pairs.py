"""`embedded:pairs`: two messages, and whether they say the same. Shaped as GLUE MRPC is.

Two equivalent messages share their meaning and few of their words. Two that are not differ in one
thing only: a number, a negation, who did it to whom, another ingredient. Both kinds are drawn so
that they share equally many words; to count words is not enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunesmith.data.embedded.grammar import Draw, Fact, Piece, distort, join, observe, say
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
    """The rows of each split. No sentence stands twice in the whole set."""
    draw = Draw(_SEED)
    seen: set[str] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, size in SIZES.items():
        rows: list[dict[str, object]] = []
        while len(rows) < size:
            label = int(draw.share() < _EQUIVALENT)
            first, second = _pair(draw, same=bool(label))
            if first != second and seen.isdisjoint((first, second)):
                seen.update((first, second))
                rows.append(
                    {"sentence1": first, "sentence2": second, "label": label, "idx": len(rows)}
                )
        splits[split] = rows
    return splits


def draw_facts(draw: Draw) -> list[Fact]:
    """What one message says: mostly one or two facts, now and then many."""
    count = draw.pick((1, 2, 3, 7), (6, 3, 0.6, 0.15))
    return [observe(draw) for _fact in range(count)]


def message(facts: Sequence[Fact], language: Language, draw: Draw) -> str:
    """Facts in words, mostly in their order, sometimes with an opening that adds nothing."""
    told = draw.shuffled(facts) if draw.share() < 0.2 else facts
    sentences = [say(fact, language, draw) for fact in told]
    if draw.share() < 0.25:
        sentences[0] = [Piece(draw.pick(_OPENERS[language])), *sentences[0]]
    return "".join(piece.text for piece in join(sentences, language, draw))


def _pair(draw: Draw, *, same: bool) -> tuple[str, str]:
    """Of two tries the pair whose share of common words is nearer to one drawn beforehand."""
    language: Language = draw.pick(("en", "zh"), (3, 2))
    facts = draw_facts(draw)
    told = list(facts)
    if not same:
        place = draw.below(len(facts))
        told[place] = distort(facts[place], draw)
    wanted = 0.35 + 0.5 * draw.share()
    tries = [
        (message(facts, language, draw), message(told, language, draw)) for _try in range(_TRIES)
    ]
    return min(tries, key=lambda pair: abs(_in_common(*pair) - wanted))


def _in_common(first: str, second: str) -> float:
    """The share of words, for Chinese of characters, that two texts have in common."""
    one, two = (set(re.findall(r"[a-z0-9-]+|[^\sa-z0-9]", t.lower())) for t in (first, second))
    return len(one & two) / len(one | two)

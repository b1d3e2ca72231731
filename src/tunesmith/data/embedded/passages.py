"""`embedded:passages`: a statement, messages that say it in other words, and messages that do not.

Most passages that do not are made from one that does, by changing what the query says or by saying
it of something else; so words in common do not show which is right. A few say nothing of it.
"""

from __future__ import annotations

from tunesmith.data.embedded.grammar import Draw, Fact, distinct_rows, distort, observe
from tunesmith.data.embedded.pairs import message
from tunesmith.data.embedded.words import Language

__all__ = ["SIZES", "make_passages"]

SIZES = {"train": 480, "validation": 100, "test": 100}
"""Queries; each has six passages."""
_SEED = 20_260_107
_HARD, _EASY = 3, 2


def make_passages() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split; no query occurs twice."""
    draw = Draw(_SEED)

    def make() -> dict[str, object]:
        language: Language = draw.pick(("en", "zh"), (3, 2))
        fact = observe(draw)
        others = [observe(draw) for _other in range(draw.pick((0, 1, 2), (2, 3, 1)))]
        query = message([fact], language, draw)
        seen = {query}
        hard = [[distort(fact, draw)] for _passage in range(_HARD)]
        easy = [[observe(draw)] for _passage in range(_EASY)]
        return {
            "query": query,
            "pos": [_passage([fact], others, language, draw, seen)],
            "neg": [_passage(facts, others, language, draw, seen) for facts in (*hard, *easy)],
            "language": language,
        }

    return distinct_rows(SIZES, make, lambda row: (row["query"],))


def _passage(
    facts: list[Fact], others: list[Fact], language: Language, draw: Draw, seen: set[str]
) -> str:
    """Write a message of these facts and others, another one than those before."""
    while (text := message(draw.shuffled([*facts, *others]), language, draw)) in seen:
        pass
    seen.add(text)
    return text

"""`embedded:corpus`: unlabelled text of the same world, for pretraining.

Most rows are two texts, as they lie about in a kitchen: an order and how it was read back, a note
and the one who passed it on in other words, or two that have nothing to do with each other. No row
holds a text of the validation or test rows of another set.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.data.embedded.grammar import Draw
from tunesmith.data.embedded.pairs import draw_facts, make_pairs, message
from tunesmith.data.embedded.ratings import make_ratings, review
from tunesmith.data.embedded.tickets import make_tickets, ticket
from tunesmith.data.embedded.words import Language

__all__ = ["SIZES", "make_corpus"]

SIZES = {"train": 60_000, "validation": 1_000}
_SEED = 20_260_106


def make_corpus() -> dict[str, list[dict[str, object]]]:
    """The rows of each split."""
    draw = Draw(_SEED)
    kept_apart = _held_out()
    seen: set[tuple[str, str]] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, size in SIZES.items():
        rows: list[dict[str, object]] = []
        while len(rows) < size:
            texts = _two_texts(draw)
            if texts not in seen and kept_apart.isdisjoint(texts):
                seen.add(texts)
                rows.append({"text": texts[0], "text_pair": texts[1]})
        splits[split] = rows
    return splits


def _two_texts(draw: Draw) -> tuple[str, str]:
    language: Language = draw.pick(("en", "zh"), (3, 2))
    kind = draw.pick(("again", "in part", "apart", "mail"), (5, 2, 1, 2))
    if kind == "mail":
        return str(ticket(draw)["text"]), str(review(draw)["text"])
    facts = draw_facts(draw)
    told = draw_facts(draw) if kind == "apart" else facts
    if kind == "in part" and len(facts) > 1:
        told = draw.shuffled(facts)[: 1 + draw.below(len(facts) - 1)]
    return message(facts, language, draw), message(told, language, draw)


def _held_out() -> set[str]:
    """Every text by which somebody may be judged."""

    def texts() -> Iterator[object]:
        for split in ("validation", "test"):
            for row in make_pairs()[split]:
                yield from (row["sentence1"], row["sentence2"])
            for rows in (make_tickets()[split], make_ratings()[split]):
                yield from (row["text"] for row in rows)

    return {str(text) for text in texts()}

"""The baseline of token classification: each word has the tag that it has most often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tunesmith.metrics.entities import OUTSIDE, Entity, entities_of_tags, word_tags
from tunesmith.tasks.token_classification.entity_kind import EntityList, MarkedEntity, as_objects
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["usual_tags"]


def usual_tags(
    texts: Sequence[MarkedText], others: Sequence[MarkedText], *, are_plain: bool
) -> NDArray[Any]:
    """Return the entities that some texts get, shape (n,).

    Args:
        texts: to learn from.
        others: to mark.
        are_plain: whether each word has a class; a new word has the most frequent one.
    """
    seen: dict[str, Counter[str]] = {}
    for text in texts:
        tags = [one.label for one in text.entities] if are_plain else None
        for word, tag in zip(text.words, tags or word_tags(text.words, text.entities), strict=True):
            seen.setdefault(text.text[slice(*word)], Counter())[tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    otherwise = OUTSIDE
    if are_plain:
        otherwise = sum(seen.values(), Counter[str]()).most_common(1)[0][0]
    return as_objects(_marked(text, usual, otherwise, are_plain=are_plain) for text in others)


def _marked(
    text: MarkedText, usual: Mapping[str, str], otherwise: str, *, are_plain: bool
) -> EntityList:
    tags = [usual.get(text.text[slice(*word)], otherwise) for word in text.words]
    if are_plain:
        marked = [Entity(i, i + 1, tag) for i, tag in enumerate(tags)]
    else:
        marked = entities_of_tags(tags)
    return tuple(
        MarkedEntity(text.words[one.start][0], text.words[one.end - 1][1], one.label, one.is_begun)
        for one in marked
    )

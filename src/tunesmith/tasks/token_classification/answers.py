"""From the logits of words, or pieces, to entities with their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.entities import OUTSIDE, Entity, entities_of_tags, word_tags
from tunesmith.metrics.probabilities import softmax
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.token_classification.entity_kind import MarkedEntity
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["Marked", "conll_lines", "mark_rows", "with_texts"]


@dataclass(frozen=True, slots=True)
class Marked:
    """The entities of a row.

    Attributes:
        entities: in characters, rising.
        scores: of each the probability of its least sure word.
        score: the probability of the least sure word of the row.
    """

    entities: Sequence[Entity]
    scores: Sequence[float]
    score: float

    def at_least(self, thresholds: Mapping[str, float]) -> Marked:
        """Return only the entities that reach the threshold of their type."""
        chosen = [
            (entity, score)
            for entity, score in zip(self.entities, self.scores, strict=True)
            if score >= thresholds.get(entity.label, 0.0)
        ]
        return replace(
            self,
            entities=[entity for entity, _score in chosen],
            scores=[score for _entity, score in chosen],
        )

    def as_answer(self, text: str) -> dict[str, object]:
        """Return what the user gets for a row with this text."""
        listed = [
            {
                "start": one.start,
                "end": one.end,
                "label": one.label,
                "text": MarkedEntity.of(one, text).text,
                "score": score,
                **({} if one.is_begun else {"strict": False}),
            }
            for one, score in zip(self.entities, self.scores, strict=True)
        ]
        return {"label": listed, "score": self.score, "scores": {}}


def mark_rows(
    predictions: Predictions, labels: Sequence[str], *, are_plain: bool
) -> Iterator[Marked]:
    """Yield the entities of each row.

    Args:
        predictions: "entities" themselves, "marked" with scores, or "logits" and "spans" of words.
        labels: the tags that the logits are of.
        are_plain: whether each word has a class of its own.
    """
    if (marked := predictions.get("marked")) is not None:
        yield from marked
        return
    if (known := predictions.get("entities")) is not None:
        yield from (Marked(entities, [1.0] * len(entities), 1.0) for entities in known)
        return
    for logits, spans in zip(
        predictions["logits"].split(), predictions["spans"].split(), strict=True
    ):
        yield _of_row(logits, spans, labels, are_plain=are_plain)


def _of_row(
    logits: NDArray[np.float32],
    spans: NDArray[np.int32],
    labels: Sequence[str],
    *,
    are_plain: bool,
) -> Marked:
    if not len(logits):
        return Marked((), (), 1.0)
    shares = softmax(logits)
    best = shares.argmax(axis=-1)
    sure = shares[np.arange(len(best)), best]
    tags = [labels[i] for i in best.tolist()]
    units = (
        [Entity(i, i + 1, tag) for i, tag in enumerate(tags)]
        if are_plain
        else entities_of_tags(tags)
    )
    entities, scores = [], []
    for unit in units:
        inside = [(s, e) for s, e in spans[unit.start : unit.end].tolist() if s < e]
        if inside:  # a piece may be nothing but a space
            start, end = inside[0][0], max(end for _start, end in inside)
            entities.append(Entity(start, end, unit.label, unit.is_begun))
            scores.append(float(sure[unit.start : unit.end].min()))
    return Marked(entities, scores, float(sure.min()))


def with_texts(text: MarkedText) -> MarkedText:
    """Return the text with entities that know their characters."""
    marked = tuple(MarkedEntity.of(entity, text.text) for entity in text.entities)
    return replace(text, entities=marked)


def conll_lines(text: MarkedText, entities: Sequence[Entity], *, are_plain: bool) -> str:
    """Return a line for each word: the word, a tab and its tag.

    Args:
        text: whose words.
        entities: in characters, rising.
        are_plain: whether each word has a class of its own.
    """
    if are_plain:
        classes = {entity.start: entity.label for entity in entities}
        tags = [classes.get(start, OUTSIDE) for start, _end in text.words]
    else:
        tags = word_tags(text.words, [Entity(*entity[:3]) for entity in entities])
    words = (text.text[start:end] or " " for start, end in text.words)
    return "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))

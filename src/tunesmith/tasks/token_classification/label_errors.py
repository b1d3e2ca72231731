"""Which marked words of the training rows are probably wrong, by a linear tagger out of fold.

Confident learning on words: each has the type of its entity, or none. A row is as suspect as its
most suspect word, and is listed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.confident_learning import Suspects, suspect_classes
from tunesmith.metrics.entities import OUTSIDE, Entity, entities_of_tags, word_tags
from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.tasks.token_classification.entity_kind import EntityList, MarkedEntity, as_objects
from tunesmith.tasks.token_classification.linear_tagger import features_of, out_of_fold
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["judged"]


def judged(
    texts: Sequence[MarkedText],
    types: Sequence[str],
    parts: Sequence[NDArray[np.int64]],
    *,
    are_plain: bool,
) -> RowAnswers:
    """Return answers to texts by models that have not learned them, and which labels look wrong.

    Args:
        texts: with their entities.
        types: of entities, or classes of words.
        parts: texts that are answered by the same model; together each once.
        are_plain: whether each word has a class.
    """
    names = list(types) if are_plain else [OUTSIDE, *types]
    index = {name: i for i, name in enumerate(names)}
    tags = [_tags(text, are_plain=are_plain) for text in texts]
    lengths = np.array([len(each) for each in tags], dtype=np.int64)
    classes = np.array([index[_type(tag)] for each in tags for tag in each], dtype=np.int64)
    words = [[text.text[start:end] for start, end in text.words] for text in texts]
    shares = out_of_fold(features_of(words), classes, lengths, parts)
    suspects = suspect_classes(shares.astype(np.float64), classes)
    ends = lengths.cumsum()
    margin = np.full(len(texts), np.inf)
    is_suspect = np.zeros(len(texts), dtype=np.bool_)
    predicted, suggested, scores = [], [], []
    for i, (text, own, stop) in enumerate(zip(texts, tags, ends.tolist(), strict=True)):
        inside = slice(stop - len(own), stop)
        best = shares[inside].argmax(axis=-1)
        predicted.append(_entities(text, own, [names[k] for k in best], are_plain=are_plain))
        scores.append(float(shares[inside].max(axis=-1).min(initial=1.0)))
        wrong = suspects.is_suspect[inside]
        is_suspect[i] = wrong.any()
        # of a row without a suspect word the least sure one, so that all rows have an order
        margin[i] = suspects.margin[inside][wrong if wrong.any() else slice(None)].min(initial=1.0)
        better = [names[k] for k in suspects.suggested[inside]]
        suggested.append(_entities(text, own, better, are_plain=are_plain))
    truth = as_objects(texts)
    return RowAnswers(
        truth,
        as_objects(predicted),
        scores=np.array(scores, dtype=np.float64),
        suspects=Suspects(margin, is_suspect, as_objects(suggested)),
    )


def _tags(text: MarkedText, *, are_plain: bool) -> list[str]:
    """The tag of each word; of classes each word has one."""
    if not are_plain:
        return word_tags(text.words, text.entities)
    classes = {entity[:2]: entity.label for entity in text.entities}
    return [classes[word] for word in text.words]


def _type(tag: str) -> str:
    return tag[2:] if tag[:2] in ("B-", "I-") else tag


def _entities(
    text: MarkedText, tags: Sequence[str], types: Sequence[str], *, are_plain: bool
) -> EntityList:
    """The entities of words of these types; where the type is that of the tag, so is the mark."""
    if are_plain:
        entities = [Entity(i, i + 1, name) for i, name in enumerate(types)]
    else:
        marks, before = [], OUTSIDE
        for tag, name in zip(tags, types, strict=True):
            mark = "I" if name == before else "B"
            changed = OUTSIDE if name == OUTSIDE else f"{mark}-{name}"
            marks.append(tag if _type(tag) == name else changed)
            before = name
        entities = entities_of_tags(marks)
    spans = [
        Entity(text.words[one.start][0], text.words[one.end - 1][1], one.label) for one in entities
    ]
    return tuple(MarkedEntity.of(one, text.text) for one in spans)

"""What can be answered without a model: the sentence that is nearest to the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.baselines import WORDS
from tunesmith.tasks.question_answering.rows import Asked

__all__ = ["nearest_sentences"]

_MOST_CONTEXTS = 20_000


def sentences(context: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text are, without white space around them."""
    spans: list[tuple[int, int]] = []
    begin = 0
    for match in re.finditer(r"[.!?]+(?=\s|$)|[。！？]+|\n+", context):
        spans.append((begin, match.end()))
        begin = match.end()
    spans.append((begin, len(context)))
    return [span for one in spans if (span := _trimmed(context, *one))[0] < span[1]]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inside = text[start:end]
    first = end - len(inside.lstrip())
    return first, first + len(inside.strip())


def nearest_sentences(rows: Sequence[Asked], others: Sequence[Asked]) -> NDArray[np.int32]:
    """Return the sentence of each context whose words are most like those of the question.

    Args:
        rows: to learn how rare words are.
        others: to answer.

    Returns:
        Characters of the context, shape (n, 2).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts = [sentences(one.context) or [(0, len(one.context))] for one in others]
    nearest = [part[0] for part in parts]
    vectors = TfidfVectorizer(token_pattern=WORDS, sublinear_tf=True)
    try:
        vectors.fit([*dict.fromkeys(one.context for one in rows[:_MOST_CONTEXTS])])
    except ValueError:  # not one word
        return np.array(nearest, dtype=np.int32).reshape(-1, 2)
    questions = vectors.transform([one.question for one in others])
    texts = [one.context[s:e] for one, part in zip(others, parts, strict=True) for s, e in part]
    features = vectors.transform(texts)
    first = 0
    for i, part in enumerate(parts):
        similarity = features[first : first + len(part)] @ questions[i].T
        nearest[i] = part[int(np.argmax(similarity.toarray()))]
        first += len(part)
    return np.array(nearest, dtype=np.int32).reshape(-1, 2)

"""Baselines: what always the same answer scores, and the TF-IDF baseline. No torch.

A score means little by itself: 0.68 on MRPC is what always saying "equivalent" gives. The second
baseline is TF-IDF over words and pairs of words (for Chinese, characters) with a linear model; it
trains in seconds and is hard to beat on topics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASELINES", "WORDS", "Kind", "linear_answers", "simple_answers"]

Kind = Literal["classes", "labels", "numbers"]
"""What is predicted: one class each, any number of labels each, or a number each."""

BASELINES = ("constant", "tfidf")

_MOST_ROWS = 20_000
"""More rows than these teach word counts little and take long."""

_MOST_WEIGHTS = 1_000_000
"""Words times outputs: with many classes fewer words count, or fitting takes minutes."""

WORDS = r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+"
"""What is a word: a Chinese character, or letters and digits in a row."""


def simple_answers(
    kind: Kind,
    texts: Sequence[Sequence[str]],
    labels: NDArray[Any],
    others: Sequence[Sequence[str]],
    *,
    num_outputs: int,
) -> Mapping[str, NDArray[np.float32]]:
    """The answers of both baselines.

    Args:
        kind: of the labels.
        texts: of the training rows; each row has one text, or the two of a pair.
        labels: of the training rows: (n,) classes or numbers, (n, C) zeros and ones.
        others: the rows to answer.
        num_outputs: C, the number of classes or labels; 1 for numbers.

    Returns:
        For each name of `BASELINES` logits of shape (rows of `others`, C), as a model gives them.
    """
    if len(texts) > _MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(texts), _MOST_ROWS, replace=False)
        texts, labels = [texts[i] for i in chosen], labels[chosen]
    return {
        "constant": np.tile(_constant(kind, labels, num_outputs), (len(others), 1)),
        "tfidf": _by_words(kind, texts, labels, others, num_outputs),
    }


def _constant(kind: Kind, labels: NDArray[Any], num_outputs: int) -> NDArray[np.float32]:
    """The most frequent class, the labels that most rows have, or the mean."""
    if kind == "numbers":
        return np.array([labels.mean()], dtype=np.float32)
    if kind == "labels":
        return _logit(labels.mean(axis=0))
    counts = np.bincount(labels, minlength=num_outputs)
    return _log(counts / counts.sum())


def _by_words(
    kind: Kind,
    texts: Sequence[Sequence[str]],
    labels: NDArray[Any],
    others: Sequence[Sequence[str]],
    num_outputs: int,
) -> NDArray[np.float32]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(
        token_pattern=WORDS, ngram_range=(1, 2), sublinear_tf=True,
        max_features=min(200_000, _MOST_WEIGHTS // num_outputs),
        min_df=2 if len(texts) > 500 else 1,
    )  # fmt: skip
    try:
        vectors.fit([text for row in texts for text in row])
    except ValueError:  # not one word, such as rows of signs only
        return np.tile(_constant(kind, labels, num_outputs), (len(others), 1))
    seen, asked = _features(vectors, texts), _features(vectors, others)
    return linear_answers(kind, seen, labels, asked, num_outputs=num_outputs)


def linear_answers(
    kind: Kind,
    seen: Any,
    labels: NDArray[Any],
    asked: Any,
    *,
    num_outputs: int,
    strength: float = 10.0,
) -> NDArray[np.float32]:
    """The answers of a linear model.

    Args:
        kind: of the labels.
        seen: what is known of each training row, shape (n, F), dense or sparse.
        labels: of the training rows: (n,) classes or numbers, (n, C) zeros and ones.
        asked: the same of the rows to answer, shape (m, F).
        num_outputs: C, the number of classes or labels; 1 for numbers.
        strength: how far classes and labels may bend the weights (the inverse of their penalty).

    Returns:
        Logits of shape (m, C), as a model gives them.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    if kind == "numbers":
        found = Ridge(alpha=1.0).fit(seen, labels).predict(asked)
        return np.asarray(found, dtype=np.float32).reshape(-1, 1)
    if kind == "classes" and len(np.unique(labels)) == 1:
        return np.tile(_constant(kind, labels, num_outputs), (asked.shape[0], 1))
    model = LogisticRegression(C=strength, tol=1e-3, max_iter=100)
    if kind == "labels":
        varied = np.flatnonzero((labels.min(axis=0) == 0) & (labels.max(axis=0) == 1))
        logits = np.tile(_constant(kind, labels, num_outputs), (asked.shape[0], 1))
        if len(varied):
            several = OneVsRestClassifier(model).fit(seen, labels[:, varied])
            shares = np.asarray(several.predict_proba(asked))
            logits[:, varied] = _logit(shares[:, -len(varied) :])
        return logits
    model.fit(seen, labels)
    logits = np.full((asked.shape[0], num_outputs), _log(np.zeros(1))[0], dtype=np.float32)
    logits[:, model.classes_] = _log(model.predict_proba(asked))
    return logits


def _features(vectors: Any, rows: Sequence[Sequence[str]]) -> Any:
    """One text as it is; of a pair both, what differs, and what is common."""
    from scipy import sparse

    columns = [vectors.transform([row[i] for row in rows]) for i in range(len(rows[0]))]
    if len(columns) == 1:
        return columns[0]
    one, two = columns
    return sparse.hstack([one, two, abs(one - two), one.multiply(two)]).tocsr()


def _log(shares: NDArray[Any]) -> NDArray[np.float32]:
    logs: NDArray[np.float32] = np.log(np.maximum(shares, 1e-9)).astype(np.float32)
    return logs


def _logit(shares: NDArray[Any]) -> NDArray[np.float32]:
    return _log(shares) - _log(1 - np.asarray(shares))

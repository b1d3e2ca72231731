"""What can be answered without reading: the longest choice, or a choice by its own words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.baselines import WORDS
from tunesmith.metrics.one_thread import one_thread

__all__ = ["by_choices_alone", "longest"]

_MOST_ROWS = 20_000
_MOST_WORDS = 200_000


def longest(choices: Sequence[Sequence[str]], width: int) -> NDArray[np.float32]:
    """Return raw values by which the longest choice of each row is taken, shape (n, width)."""
    return _rectangle([[float(len(text)) for text in row] for row in choices], width)


def by_choices_alone(
    choices: Sequence[Sequence[str]],
    truth: NDArray[np.int64],
    others: Sequence[Sequence[str]],
    width: int,
) -> NDArray[np.float32]:
    """Return the raw values of a linear model of TF-IDF that sees choices, and no question.

    Where it is better than guessing, choices were written so that the right ones can be recognized.

    Args:
        choices: of the rows to learn from.
        truth: which of them is right, shape (n,).
        others: the choices of the rows to answer.
        width: of the result, shape (m, width).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    choices, truth = choices[:_MOST_ROWS], truth[:_MOST_ROWS]
    texts = [text for row in choices for text in row]
    right = [i == place for row, place in zip(choices, truth.tolist(), strict=True)
             for i in range(len(row))]  # fmt: skip
    vectors = TfidfVectorizer(
        token_pattern=WORDS, ngram_range=(1, 2), sublinear_tf=True, max_features=_MOST_WORDS,
        min_df=2 if len(texts) > 500 else 1,
    )  # fmt: skip
    try:
        features = vectors.fit_transform(texts)
    except ValueError:  # not one word
        return _rectangle([[0.0] * len(row) for row in others], width)
    with one_thread():
        model = LogisticRegression(C=10.0, tol=1e-3, max_iter=100).fit(features, right)
    values = iter(model.decision_function(vectors.transform([t for row in others for t in row])))
    return _rectangle([[float(next(values)) for _text in row] for row in others], width)


def _rectangle(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float32]:
    values = np.full((len(rows), width), -np.inf, dtype=np.float32)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    return values

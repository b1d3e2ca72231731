"""Baselines: the majority class or mean, and TF-IDF. No torch.

A score means little by itself: 0.68 on MRPC is what always answering "equivalent" gives. The other
baseline is TF-IDF over words and pairs of words (for Chinese, characters) with a linear model; it
trains in seconds and is hard to beat on topics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.output_kinds import RawKind

__all__ = ["BASELINES", "WORDS", "simple_answers"]

BASELINES = {
    "tfidf": N_("TF-IDF"),
    "frequent": N_("usual tag of each word"),
    "choices": N_("choices alone, TF-IDF"),
    "longest": N_("longest choice"),
    "sentence": N_("nearest sentence, TF-IDF"),
    "bm25": N_("BM25"),
    "random": N_("random order"),
    "constant": N_("majority class"),
}
"""The names of all baselines, and their titles; see `score_table.baseline_title`."""

_MOST_ROWS = 20_000
"""More rows than these teach TF-IDF little and take long."""

_MOST_WEIGHTS = 1_000_000
"""Words times outputs: with many classes fewer words are used, or fitting takes minutes."""

WORDS = r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+"
"""What is a word: a Chinese character, or letters and digits in a row."""


def simple_answers(
    kind: RawKind,
    texts: Sequence[Sequence[str]],
    labels: NDArray[Any],
    others: Sequence[Sequence[str]],
) -> Mapping[str, NDArray[np.float32]]:
    """The answers of both baselines.

    Args:
        kind: of the answers, with the names of its outputs.
        texts: of the training rows; each row has one text, or the two of a pair.
        labels: of the training rows: (n,) classes or numbers, (n, C) zeros and ones.
        others: the rows to answer.

    Returns:
        For each name of `BASELINES` logits of shape (rows of `others`, C), as a model gives them.
    """
    if len(texts) > _MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(texts), _MOST_ROWS, replace=False)
        texts, labels = [texts[i] for i in chosen], labels[chosen]
    return {
        "constant": np.tile(kind.constant(labels), (len(others), 1)),
        "tfidf": _by_words(kind, texts, labels, others),
    }


def _by_words(
    kind: RawKind,
    texts: Sequence[Sequence[str]],
    labels: NDArray[Any],
    others: Sequence[Sequence[str]],
) -> NDArray[np.float32]:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    counter = CountVectorizer(
        token_pattern=WORDS, ngram_range=(1, 2), dtype=np.float64,
        max_features=min(200_000, _MOST_WEIGHTS // len(kind.names)),
        min_df=2 if len(texts) > 500 else 1,
    )  # fmt: skip
    try:
        counts = counter.fit_transform([text for row in texts for text in row])
    except ValueError:  # not one word, such as rows of signs only
        return np.tile(kind.constant(labels), (len(others), 1))
    counts.sort_indices()  # as those of other texts are: sums of a row are the same to the bit
    weigh = TfidfTransformer(sublinear_tf=True).fit(counts).transform
    requested = counter.transform([text for row in others for text in row])
    width = len(texts[0])
    return kind.linear(_features(weigh(counts), width), labels, _features(weigh(requested), width))


def _features(vectors: Any, width: int) -> Any:
    """One text as it is; of a pair both, what differs, and what is common.

    Args:
        vectors: of the texts of all rows, one row after the other.
        width: texts of a row.
    """
    from scipy import sparse

    if width == 1:
        return vectors
    one, two = vectors[::2], vectors[1::2]
    return sparse.hstack([one, two, abs(one - two), one.multiply(two)]).tocsr()

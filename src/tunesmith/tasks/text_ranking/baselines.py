"""Rankings without learning: BM25, and no order at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.baselines import WORDS

__all__ = ["bm25"]

_K1, _B = 1.2, 0.75
"""As Lucene has them."""


def bm25(pairs: Sequence[tuple[str, str]], passages: Sequence[str]) -> NDArray[np.float32]:
    """Return the BM25 score of the passage of each pair for its query, shape (n,).

    Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond" (2009), with
    the idf of Lucene, which is never negative. How rare a word is follows from all passages.

    Args:
        pairs: query and passage.
        passages: further passages, such as those of the training rows.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer

    different = list(dict.fromkeys([*(passage for _query, passage in pairs), *passages]))
    words = CountVectorizer(token_pattern=WORDS)
    try:
        counts = words.fit_transform(different).tocsr().astype(np.float64)
    except ValueError:  # not one word
        return np.zeros(len(pairs), dtype=np.float32)
    lengths = np.asarray(counts.sum(axis=1)).reshape(-1)
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log1p((len(different) - frequency + 0.5) / (frequency + 0.5))
    norm = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1e-9))
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    counts.data *= idf[counts.indices] / (counts.data + norm[row])
    number = {passage: i for i, passage in enumerate(different)}
    chosen = counts[[number[passage] for _query, passage in pairs]]
    queries = sparse.csr_array(words.transform([query for query, _passage in pairs]))
    scores = np.asarray(queries.multiply(chosen).sum(axis=1)).reshape(-1)
    return scores.astype(np.float32)

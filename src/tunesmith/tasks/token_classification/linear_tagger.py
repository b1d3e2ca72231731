"""A linear model of words in their sentences: which class each word has, by what is seen of it.

Features are the word, its shape, its beginning and end, and its neighbors, as numbers of hashes.
Each word has the same number of features, so those of a text of 500,000 words are an array of 38
MB; the model learns them in parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

__all__ = ["features_of", "out_of_fold"]

_WIDTH = 1 << 17
"""Different numbers of features."""

_EPOCHS = 4
_PENALTY = 3.0
"""On the weights, divided by the words; of 1 and 10, 10 finds less and 1 is wrong more often."""

_AT_ONCE = 1 << 14
"""Words that are learned at once."""

_AFFIXES = (1, 2, 3, 4)
_AROUND = (-2, -1, 1, 2)
_NOTHING = "\n"
"""What is before the first word and after the last one."""

_RUNS = re.compile(r"(.)\1+")


def features_of(sentences: Sequence[Sequence[str]]) -> NDArray[np.int32]:
    """Return the features of each word, shape (words, features); sentences follow each other."""
    numbers: dict[str, int] = {_NOTHING: 0}
    flat: list[int] = [0, 0]
    for words in sentences:
        flat += [numbers.setdefault(word, len(numbers)) for word in words]
        flat += [0, 0]
    known = np.array([_own(word) for word in numbers], dtype=np.int64)
    padded = np.array(flat, dtype=np.int64)
    places = np.flatnonzero(padded)
    own = known[padded[places]]
    columns = [own]
    for distance in _AROUND:
        near = known[padded[places + distance]]
        columns.append(_mixed(near[:, :1], distance))  # the word
        if abs(distance) == 1:
            columns.append(_mixed(near[:, 1:2], 10 * distance))  # its shape
            columns.append(_mixed(near[:, :1] * 31 + own[:, :1], 100 * distance))  # both words
    return (np.concatenate(columns, axis=1) % _WIDTH).astype(np.int32)


def _own(word: str) -> list[int]:
    """Hashes of a word: itself, its shape, its affixes."""
    parts = [word, "s" + _shape(word), "l" + word.lower()]
    parts += [f"{n}<{word[:n]}" for n in _AFFIXES] + [f"{n}>{word[-n:]}" for n in _AFFIXES]
    return [crc32(part.encode("utf-8", "surrogatepass")) for part in parts]


def _shape(word: str) -> str:
    """Upper case, lower case and digits as one letter each, without repetitions."""
    letters = "".join(
        "X" if c.isupper() else "x" if c.islower() else "9" if c.isdigit() else c for c in word
    )
    return _RUNS.sub(r"\1", letters)


def _mixed(hashes: NDArray[np.int64], salt: int) -> NDArray[np.int64]:
    """Other hashes, for the same words elsewhere."""
    return np.abs((hashes + 1_000_003 * salt) * 2_654_435_761) >> 7


def out_of_fold(
    features: NDArray[np.int32],
    classes: NDArray[np.int64],
    lengths: NDArray[np.int64],
    parts: Sequence[NDArray[np.int64]],
) -> NDArray[np.float32]:
    """Return the probabilities of each word's classes by a model that has not learned its sentence.

    Args:
        features: of the words, shape (words, features).
        classes: of the words, from 0, shape (words,).
        lengths: words of each sentence, shape (sentences,).
        parts: sentences that are answered by the same model; together each sentence once.
    """
    count = int(classes.max()) + 1 if len(classes) else 0
    shares = np.zeros((len(classes), count), dtype=np.float32)
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    part_of = np.zeros(len(lengths), dtype=np.int64)
    for number, part in enumerate(parts):
        part_of[part] = number
    part_of_word = part_of[sentence]
    for number in range(len(parts)):
        others = np.flatnonzero(part_of_word == number)
        seen = np.flatnonzero(part_of_word != number)
        if not len(others) or not len(seen):
            continue
        model = _learned(features, classes, seen, count)
        for chosen in _cut(others):
            shares[chosen] = model.predict_proba(_matrix(features[chosen]))
    return shares


def _learned(
    features: NDArray[np.int32], classes: NDArray[np.int64], seen: NDArray[np.int64], count: int
) -> Any:
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(
        loss="log_loss",
        alpha=float(np.clip(_PENALTY / len(seen), 1e-6, 1e-3)),
        average=True,
        random_state=0,
    )
    random = np.random.default_rng(0)
    for _epoch in range(_EPOCHS):
        for chosen in _cut(random.permutation(seen)):
            model.partial_fit(_matrix(features[chosen]), classes[chosen], classes=np.arange(count))
    return model


def _cut(places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]


def _matrix(features: NDArray[np.int32]) -> Any:
    """The features of some words as ones of a sparse matrix."""
    from scipy.sparse import csr_matrix

    rows, width = features.shape
    ends = np.arange(0, rows * width + 1, width)
    return csr_matrix((np.ones(rows * width), features.ravel(), ends), shape=(rows, _WIDTH))

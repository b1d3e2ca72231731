"""Equal and nearly equal texts, from a few numbers per row; no text is stored.

*Equal* texts differ only in case, white space and width of characters. *Near* texts have sets of
four-character pieces, without punctuation, with a Jaccard similarity of 0.8 or more. Candidates are
found by MinHash (Broder, "On the resemblance and containment of documents", 1997) in bands (Indyk
and Motwani, "Approximate nearest neighbors", 1998) and then compared exactly: a pair may be missed,
but none is reported wrongly.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.rng import splitmix64

__all__ = ["NEAR", "Groups", "Sketches", "candidates", "normalized", "similarities", "text_hash"]

NEAR = 0.8
"""The similarity from which two texts are nearly equal."""

_PIECE = 4
_BANDS, _WIDTH = 8, 3  # finds 99.7 % of pairs at similarity 0.8 and 66 % at 0.5
_MOST_CHARACTERS = 20_000
"""Of longer texts only the beginning is compared."""
_CHARACTERS_AT_ONCE = 1 << 20

_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}

_SEEDS = splitmix64(np.arange(2 * _BANDS * _WIDTH, dtype=np.uint64)).astype(np.uint32)
_FLIPS, _FACTORS = _SEEDS[::2], _SEEDS[1::2] | np.uint32(1)

Indices = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)


def normalized(texts: Iterable[object]) -> str:
    """Return the texts of a row as one, without what equal texts may differ in."""
    return "\x1f".join([_normalized(str(text)) for text in texts])


def _normalized(text: str) -> str:
    if not text.isascii():
        # each of the two may produce what the other changes again
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def text_hash(text: str) -> int:
    """Return a hash of a normalized text: 64 bits, signed."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class Sketches:
    """MinHash sketches of texts: a key for each band, 32 bytes per text."""

    def __init__(self) -> None:
        self._keys = bytearray()  # one buffer: small arrays would fragment the memory

    def add(self, texts: Sequence[str]) -> None:
        """Add normalized texts."""
        for part in _portions([_letters(text) for text in texts]):
            self._keys += _band_keys(*_pieces(part)).data

    @property
    def keys(self) -> NDArray[np.uint32]:
        """The keys of each text, shape (n, bands)."""
        return np.frombuffer(self._keys, np.uint32).reshape(-1, _BANDS)


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows in groups of equal texts, the groups in the order of their hashes.

    Attributes:
        order: the rows, group by group, each group in rising order, shape (n,).
        first: the first row of each group, shape (groups,).
        sizes: rows of each group, shape (groups,).
    """

    order: Indices
    first: Indices
    sizes: Indices

    @classmethod
    def of(cls, hashes: NDArray[np.int64]) -> Groups:
        """Group equal hashes, shape (n,)."""
        order = hashes.argsort(kind="stable")
        in_order = hashes[order]
        starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1])[: len(order)])
        del in_order
        return cls(order, order[starts], np.diff(starts, append=len(order)))

    def by_row(self, of_groups: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the value of its group for each row."""
        of_rows = np.empty(len(self.order), dtype=of_groups.dtype)
        of_rows[self.order] = np.repeat(of_groups, self.sizes)
        return of_rows


def candidates(keys: NDArray[np.uint32], among: NDArray[np.uint32] | None = None) -> Indices:
    """Return pairs that may be near: each text with at most two others per band.

    Args:
        keys: of the texts, shape (n, bands).
        among: of the texts to search, shape (m, bands); None to search those before each text.

    Returns:
        Pairs of indices, shape (p, 2), each once; the first pair of every text comes first.
    """
    searched = keys if among is None else among
    numbers_of_pairs = []
    for band in range(_BANDS if len(searched) else 0):
        order = np.argsort(searched[:, band], kind="stable")
        column = searched[order, band]
        left = np.searchsorted(column, keys[:, band], side="left")
        right = np.searchsorted(column, keys[:, band], side="right") - 1
        if among is None:  # the one before it instead of the last
            right = np.empty_like(order)
            right[order] = np.arange(len(order)) - 1
        matched = np.flatnonzero(left <= right)
        numbers_of_pairs += [matched * len(searched) + order[end[matched]] for end in (left, right)]
    if not numbers_of_pairs:
        return np.empty((0, 2), np.int64)
    # numpy sorts pairs as one number ten times as fast as rows of two
    numbers = np.sort(np.concatenate(numbers_of_pairs))
    numbers = numbers[np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]]
    pairs = np.stack(np.divmod(numbers, len(searched)), axis=1)
    starts = np.searchsorted(pairs[:, 0], pairs[:, 0], side="left")
    return pairs[np.argsort(np.arange(len(pairs)) - starts, kind="stable")]


def similarities(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of each text with its partner, shape (n,); both normalized."""
    letters = {text: _letters(text) for text in {*first, *second}}
    ones, others = ([letters[text] for text in texts] for texts in (first, second))
    similar: list[float] = []
    for part in _portions([one + other for one, other in zip(ones, others, strict=True)]):
        start, stop = len(similar), len(similar) + len(part)
        similar += _overlap(ones[start:stop], others[start:stop]).tolist()
    return np.array(similar, dtype=np.float64)


def _letters(text: str) -> str:
    """Return letters and digits with single spaces; a text of punctuation only is unchanged."""
    spaced = text.translate(_SIGNS) if text.isascii() else re.sub(r"[\W_]+", " ", text)
    return " ".join(spaced[:_MOST_CHARACTERS].split()) or text[:64] or " "


def _portions(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    """Split texts into portions whose pieces fit into memory."""
    start = size = 0
    for stop, text in enumerate(texts, start=1):
        size += len(text)
        if size > _CHARACTERS_AT_ONCE:
            yield texts[start:stop]
            start, size = stop, 0
    if start < len(texts):
        yield texts[start:]


def _pieces(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Indices]:
    """Return a hash of every piece of every text, and the start of each text among them.

    A text has as many pieces as characters: the first ones start before its beginning.
    """
    before = " " * (_PIECE - 1)
    codes = np.frombuffer(
        "".join(before + text for text in texts).encode("utf-32-le", "surrogatepass"), np.uint32
    )
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    hashes = np.zeros(len(codes) - _PIECE + 1, dtype=np.uint32)
    for i in range(_PIECE):
        hashes = hashes * np.uint32(0x01000193) + codes[i : len(hashes) + i]
    inside = np.ones(len(hashes) + _PIECE - 1, dtype=bool)
    ends = np.cumsum(lengths + _PIECE - 1)
    for i in range(1, _PIECE):  # a piece that would reach into the next text
        inside[ends - i] = False
    hashes = hashes[inside[: len(hashes)]]
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x7FEB352D)
    hashes ^= hashes >> np.uint32(15)
    return hashes, starts


def _band_keys(hashes: NDArray[np.uint32], starts: Indices) -> NDArray[np.uint32]:
    keys = np.empty((len(starts), _BANDS), dtype=np.uint32)
    for band in range(_BANDS):
        key = np.zeros(len(starts), dtype=np.uint64)
        for i in range(band * _WIDTH, (band + 1) * _WIDTH):
            least = np.minimum.reduceat((hashes ^ _FLIPS[i]) * _FACTORS[i], starts)
            key = splitmix64(key ^ least)
        keys[:, band] = key >> np.uint64(32)
    return keys


def _overlap(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
    one, other = (_piece_sets(texts) for texts in (first, second))
    both = np.sort(np.concatenate([one, other]), kind="stable")  # merges two sorted runs
    common = both[1:][both[1:] == both[:-1]]
    size, other_size, shared = (
        np.bincount((pieces >> np.uint64(32)).astype(np.int64), minlength=len(first))
        for pieces in (one, other, common)
    )
    jaccard: NDArray[np.float64] = shared / (size + other_size - shared)
    return jaccard


def _piece_sets(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return the distinct pieces of each text, sorted, with the text's number in the upper bits."""
    hashes, starts = _pieces(texts)
    lengths = np.diff(np.append(starts, len(hashes)))
    number = np.repeat(np.arange(len(starts), dtype=np.uint64), lengths)
    pieces = np.sort(number << np.uint64(32) | hashes)
    different: NDArray[np.uint64] = pieces[np.append(True, pieces[1:] != pieces[:-1])]
    return different

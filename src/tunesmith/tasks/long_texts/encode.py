"""Texts and pairs as token ids, the long ones as the options say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged
from tunesmith.data.rows import Row
from tunesmith.tasks.long_texts.options import LongTexts
from tunesmith.tasks.long_texts.places import head_and_tail, shared_space, sliding, window_spans
from tunesmith.tasks.tokenize_texts import as_ragged, encode_texts, texts_of_rows

__all__ = ["EncodedTexts", "encode_long_texts"]


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Token ids of texts or pairs.

    Attributes:
        ragged: "input_ids" and, if the model takes them, "token_type_ids".
        full_lengths: tokens of each text, more than those of its sequences if some are in none.
        parts: sequences of each text; None for one each.
    """

    ragged: dict[str, Ragged]
    full_lengths: NDArray[np.int64]
    parts: NDArray[np.int64] | None = None


def encode_long_texts(
    rows: Sequence[Row], roles: Roles, tokenizer: Any, max_length: int, long: LongTexts
) -> EncodedTexts:
    """Tokenize texts or pairs.

    Args:
        rows: with the columns of `roles`.
        roles: which column is a text.
        tokenizer: a fast one.
        max_length: tokens of a sequence.
        long: what becomes of longer texts.
    """
    if long.long in ("head", "tail"):
        side = "left" if long.long == "tail" else tokenizer.truncation_side
        return EncodedTexts(*encode_texts(rows, roles, tokenizer, max_length, side=side))
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(texts_of_rows(rows, roles))
    pieces: list[tuple[Any, NDArray[np.int64] | None]] = []
    full_lengths, parts = [], []
    for encoding in encodings:
        if len(encoding) <= max_length:
            pieces.append((encoding, None))
            parts.append(1)
            full_lengths.append(len(encoding))
            continue
        text = _Whole.of(encoding)
        sequences = _sequences(text.lengths, max_length - len(text.special), long)
        chosen = [text.places(spans) for spans in sequences]
        pieces += [(encoding, places) for places in chosen]
        parts.append(len(chosen))
        all_places = np.concatenate(chosen)
        full_lengths.append(len(all_places) + len(encoding) - len(np.unique(all_places)))
    return EncodedTexts(
        as_ragged(pieces, tokenizer),
        np.array(full_lengths, dtype=np.int64),
        np.array(parts, dtype=np.int64) if long.in_windows else None,
    )


@dataclass(frozen=True, slots=True)
class _Whole:
    """A text or pair that is too long: where its special tokens and those of each text are."""

    special: NDArray[np.int64]
    texts: Sequence[NDArray[np.int64]]

    @classmethod
    def of(cls, encoding: Any) -> _Whole:
        owners = np.array([-1 if i is None else i for i in encoding.sequence_ids], dtype=np.int64)
        texts = [np.flatnonzero(owners == i) for i in range(encoding.n_sequences)]
        return cls(np.flatnonzero(owners < 0), texts)

    @property
    def lengths(self) -> list[int]:
        return [len(text) for text in self.texts]

    def places(self, spans: Sequence[Sequence[tuple[int, int]]]) -> NDArray[np.int64]:
        """Return the places of the special tokens and of spans of each text, rising."""
        inside = [
            text[start:stop]
            for text, own in zip(self.texts, spans, strict=True)
            for start, stop in own
        ]
        return np.sort(np.concatenate([self.special, *inside]))


def _sequences(
    lengths: Sequence[int], space: int, long: LongTexts
) -> list[list[list[tuple[int, int]]]]:
    """Return for each sequence the spans of each text."""
    space = max(1, space)
    if not long.in_windows:
        retained = shared_space(lengths, space)
        return [[head_and_tail(*both) for both in zip(lengths, retained, strict=True)]]
    longer, other = sliding(lengths, space)
    windows = window_spans(lengths[longer], space - other, long.max_windows)
    return [
        [[window] if text == longer else [(0, other)] for text in range(len(lengths))]
        for window in windows
    ]

"""Long texts in several windows, so that no word is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, Ragged
from tunesmith.data.rows import Row

__all__ = ["encode_windows"]


def encode_windows(rows: Sequence[Row], roles: Roles, tokenizer: Any, max_length: int) -> Encoded:
    """Texts as token ids; a long one gives several examples.

    "words" says which word of its text each token belongs to, from 1; 0 for none, such as the
    special tokens at both ends. Windows without a word are left out.

    Args:
        rows: with the columns of `roles`.
        roles: which column is the text; of a pair only the first window is read.
        tokenizer: a fast one.
        max_length: tokens of a window.
    """
    narrow = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    ids: list[int] = []
    types: list[int] = []
    words: list[int] = []
    lengths: list[int] = []
    sources: list[int] = []
    lost: list[int] = []
    for row, window, left_out in _windows(rows, roles, tokenizer, max_length):
        numbers = _word_numbers(window)
        if any(numbers):
            ids += window.ids
            types += window.type_ids
            words += numbers
            lengths.append(len(numbers))
            sources.append(row.index)
            lost.append(left_out)
    counts = np.array(lengths, dtype=np.int64)
    ragged = {"input_ids": Ragged(np.array(ids, dtype=narrow), counts)}
    if "token_type_ids" in tokenizer.model_input_names:
        ragged["token_type_ids"] = Ragged(np.array(types, dtype=np.uint8), counts)
    ragged["words"] = Ragged(np.array(words, dtype=np.int32), counts)
    full = counts + np.array(lost, dtype=np.int64)
    return Encoded(ragged, {}, np.array(sources, dtype=np.int64), full)


def _windows(
    rows: Sequence[Row], roles: Roles, tokenizer: Any, max_length: int
) -> Iterator[tuple[Row, Any, int]]:
    """Each text cut into as many windows as it needs.

    Of a pair only the first window is read, which holds some of both; the number says how many
    tokens are left out.
    """
    texts: list[Any] = [tuple(str(row.values[name]) for name in roles.text_columns) for row in rows]
    if roles.text_pair is None:
        texts = [text for (text,) in texts]
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, strategy="longest_first")
    try:
        encodings = backend.encode_batch(texts)
    finally:
        backend.no_truncation()
    for row, text, encoding in zip(rows, texts, encodings, strict=True):
        if roles.text_pair is None:
            yield from ((row, part, 0) for part in (encoding, *encoding.overflowing))
        else:
            is_cut = bool(encoding.overflowing)
            whole = len(backend.encode(*text)) if is_cut else len(encoding)
            yield row, encoding, whole - len(encoding)


def _word_numbers(encoding: Any) -> list[int]:
    """For each token the number of its word, from 1; 0 for marks that belong to no text."""
    numbers, offset, sequence = [], 0, 0
    highest = 0
    for word, part in zip(encoding.word_ids, encoding.sequence_ids, strict=True):
        if word is None or part is None:
            numbers.append(0)
            continue
        if part != sequence:
            sequence, offset = part, highest
        numbers.append(word + 1 + offset)
        highest = max(highest, word + 1 + offset)
    return numbers

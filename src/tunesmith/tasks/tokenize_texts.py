"""Texts and pairs of texts: what is wrong with them, and their token ids."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _

__all__ = ["as_ragged", "encode_texts", "texts_of_rows", "validate_texts"]


def validate_texts(row: Row, roles: Roles) -> Finding | None:
    """Return what is wrong with the texts of a row."""
    texts = [row.values.get(name) for name in roles.text_columns]
    if all(isinstance(text, str) and text and not text.isspace() for text in texts):
        return None
    for name, text in zip(roles.text_columns, texts, strict=True):
        if isinstance(text, bytes):
            return Finding(
                "D303",
                _('"{column}" holds binary data').format(column=name),
                fix=_("Name another column with --text."),
            )
        if isinstance(text, dict | list):
            return Finding(
                "D304",
                _('"{column}" is {kind}, not text').format(
                    column=name, kind=_("an object") if isinstance(text, dict) else _("a list")
                ),
                fix=_("Name another column with --text."),
            )
    empty = [text is None or not str(text).strip() for text in texts]
    if any(empty) and not all(empty):
        return Finding(
            "D330",
            _('"{column}" is empty, its partner is not').format(
                column=roles.text_columns[empty.index(True)]
            ),
            fix=_("Complete or remove the row."),
        )
    if all(empty):
        is_blank = any(isinstance(text, str) and text for text in texts)
        return Finding(
            "D311" if is_blank else "D310",
            _("the text holds only spaces") if is_blank else _("the text is empty"),
            fix=_("Complete or remove the row."),
        )
    return None


def texts_of_rows(rows: Sequence[Row], roles: Roles) -> list[Any]:
    """Return what a tokenizer takes: texts, or pairs of them."""
    return [
        str(row.values[roles.text])
        if roles.text_pair is None
        else (str(row.values[roles.text]), str(row.values[roles.text_pair]))
        for row in rows
    ]


def encode_texts(
    rows: Sequence[Row], roles: Roles, tokenizer: Any, max_length: int, *, side: str | None = None
) -> tuple[dict[str, Ragged], NDArray[np.int64]]:
    """Tokenize texts or pairs, cut to `max_length`, the longer text of a pair first.

    Args:
        rows: with the columns of `roles`.
        roles: which column is a text.
        tokenizer: a fast one.
        max_length: tokens of a sequence.
        side: where texts are cut, "left" or "right"; None for the side of the tokenizer.

    Returns:
        "input_ids" and, if the model takes them, "token_type_ids"; and the length of each before
        the cut, shape (n,).
    """
    texts = texts_of_rows(rows, roles)
    backend = tokenizer.backend_tokenizer
    encodings = backend.encode_batch_fast(texts)
    full_lengths = np.fromiter((len(e) for e in encodings), np.int64, len(texts))
    if too_long := np.flatnonzero(full_lengths > max_length).tolist():
        backend.enable_truncation(
            max_length, strategy="longest_first", direction=side or tokenizer.truncation_side
        )
        try:
            for i, cut in zip(
                too_long, backend.encode_batch_fast([texts[i] for i in too_long]), strict=True
            ):
                encodings[i] = cut
        finally:
            backend.no_truncation()
    return as_ragged([(encoding, None) for encoding in encodings], tokenizer), full_lengths


def as_ragged(
    sequences: Sequence[tuple[Any, NDArray[np.int64] | None]], tokenizer: Any
) -> dict[str, Ragged]:
    """Return the inputs of a model: of each encoding the tokens at some places, all for None."""
    lengths = np.fromiter(
        (len(e) if places is None else len(places) for e, places in sequences),
        np.int64,
        len(sequences),
    )

    def column(name: str, kind: Any) -> Ragged:
        values = (
            ids if places is None else np.array(ids)[places]
            for ids, places in ((getattr(e, name), places) for e, places in sequences)
        )
        return Ragged(np.fromiter(chain.from_iterable(values), kind, int(lengths.sum())), lengths)

    inputs = {"input_ids": column("ids", np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)}
    if "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = column("type_ids", np.uint8)
    return inputs

"""What a model reads of a text: tokens, ids, token types, mask, and what is truncated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Inspected", "inspect_texts"]


@dataclass(frozen=True, slots=True)
class Inspected:
    """A text, or two read jointly, as a model reads them.

    Attributes:
        tokens: in order, special tokens included.
        ids: of the tokens.
        types: token type of each token, 0 or 1; None if the model has none.
        mask: 1 for each token; padding has 0.
        sequences: for each token 0 or 1 for its text, None for a special token.
        cut: for each text the tokens that did not fit.
        unknown: the number of unknown tokens.
        limit: the most tokens of a row.
    """

    tokens: Sequence[str]
    ids: Sequence[int]
    types: Sequence[int] | None
    mask: Sequence[int]
    sequences: Sequence[int | None]
    cut: Sequence[Sequence[str]]
    unknown: int
    limit: int

    def as_json(self) -> dict[str, object]:
        """Return plain values by their names in transformers."""
        types = {} if self.types is None else {"token_type_ids": list(self.types)}
        return {
            "tokens": list(self.tokens),
            "input_ids": list(self.ids),
            **types,
            "attention_mask": list(self.mask),
            "sequence_ids": list(self.sequences),
            "cut": [list(tokens) for tokens in self.cut],
            "unknown": self.unknown,
            "max_length": self.limit,
        }


def inspect_texts(tokenizer: Any, texts: Sequence[str], limit: int) -> Inspected:
    """Tokenize texts as training does.

    Args:
        tokenizer: fast.
        texts: one, or the two of a pair.
        limit: tokens of a row; the longer text of a pair is truncated first.
    """
    whole = tokenizer(*texts, truncation=False, verbose=False).encodings[0]
    shown = tokenizer(*texts, truncation="longest_first", max_length=limit).encodings[0]
    cut = []
    for number in range(len(texts)):
        every, stayed = (
            [token for token, at in zip(e.tokens, e.sequence_ids, strict=True) if at == number]
            for e in (whole, shown)
        )
        left = tokenizer.truncation_side == "left"
        lost = len(every) - len(stayed)
        cut.append(every[:lost] if left else every[len(stayed) :])
    return Inspected(
        shown.tokens,
        shown.ids,
        shown.type_ids if "token_type_ids" in tokenizer.model_input_names else None,
        shown.attention_mask,
        shown.sequence_ids,
        cut,
        sum(i == tokenizer.unk_token_id for i in shown.ids),
        limit,
    )

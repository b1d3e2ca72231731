"""Batches cut out of Arrow columns, where a collator only pads: no row becomes Python numbers.

`DataCollatorWithPadding` on a `datasets.Dataset` makes a list of lists of each batch and a tensor
of them, which takes as long as a small model needs for a layer. The tensors are the same; the first
batch is compared with the collator's, and anything unusual is left to the collator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ArrowBatches"]

_RAGGED = {"input_ids", "attention_mask", "token_type_ids"}
_LABELS = {"label", "labels"}


class ArrowBatches:
    """Rows of a data set as the padded tensors that a collator would make of them."""

    def __init__(self, data: Any, collate: Any) -> None:
        """Take what `of` is_real suitable.

        Args:
            data: Arrow tables of token ids and a label.
            collate: a `DataCollatorWithPadding`.
        """
        self._tables = data.with_format("arrow")
        self._collate = collate

    @classmethod
    def of(cls, data: Any, collate: Any) -> ArrowBatches | None:
        """Batches of a data set; None if its rows or its collator are of another kind."""
        from datasets import Dataset
        from transformers import DataCollatorWithPadding

        if type(collate) is not DataCollatorWithPadding or not isinstance(data, Dataset):
            return None
        own = type(data)
        if own.__getitem__ is not Dataset.__getitem__ or (
            own.__getitems__ is not Dataset.__getitems__
        ):
            return None
        names = set(data.column_names)
        if data.format["type"] is not None or set(data.format["columns"]) != names:
            return None
        if not {"input_ids", "attention_mask"} <= names <= _RAGGED | _LABELS or names >= _LABELS:
            return None
        columns = {name: data.data.column(name) for name in names}
        kinds = all(
            _holds_tokens(column.type) if name in _RAGGED else _holds_labels(column.type)
            for name, column in columns.items()
        )
        whole = not any(column.null_count for column in columns.values())
        return cls(data, collate) if kinds and whole and _pads_plainly(collate) else None

    def tensors(self, places: Sequence[int]) -> dict[str, torch.Tensor] | None:
        """The tensors of some rows; None if the collator has to make them."""
        if not _pads_plainly(self._collate):
            return None
        table = self._tables[places]
        tokenizer = self._collate.tokenizer
        fills = {
            "input_ids": tokenizer.pad_token_id,
            "token_type_ids": tokenizer.pad_token_type_id,
            "attention_mask": 0,
        }
        lengths: NDArray[np.int64] | None = None
        made: dict[str, torch.Tensor] = {}
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            if name in _LABELS:
                made["labels"] = _as_labels(column.to_numpy(zero_copy_only=False))
                continue
            own = column.value_lengths().to_numpy().astype(np.int64)
            if lengths is None:
                lengths = own
                is_real = _places_of(lengths, left=tokenizer.padding_side == "left")
            values = column.flatten()
            if values.null_count or not np.array_equal(own, lengths):
                return None
            padded = np.full(is_real.shape, fills[name], dtype=np.int64)
            padded[is_real] = values.to_numpy(zero_copy_only=False)
            made[name] = torch.from_numpy(padded)
        return made

    def agrees(self, places: Sequence[int], theirs: Mapping[str, Any]) -> bool:
        """Whether the tensors of some rows are those that the collator made of them."""
        ours = self.tensors(places)
        return (
            ours is not None
            and ours.keys() == theirs.keys()
            and all(
                isinstance(theirs[name], torch.Tensor)
                and tensor.dtype == theirs[name].dtype
                and torch.equal(tensor, theirs[name])
                for name, tensor in ours.items()
            )
        )


def _holds_tokens(kind: Any) -> bool:
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_list and pa.types.is_integer(kind.value_type))


def _holds_labels(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _pads_plainly(collate: Any) -> bool:
    """Whether a collator fills up to the longest row, with the tokenizer's own method."""
    from transformers import PreTrainedTokenizerBase

    own, plain = type(collate.tokenizer), PreTrainedTokenizerBase
    return (
        collate.padding in (True, "longest")
        and collate.pad_to_multiple_of is None
        and collate.return_tensors == "pt"
        and isinstance(collate.tokenizer, plain)
        and own.pad is plain.pad
        and own._pad is plain._pad
        and collate.tokenizer.pad_token_id is not None
    )


def _places_of(lengths: NDArray[np.int64], *, left: bool) -> NDArray[np.bool_]:
    """Where the tokens of each row are in the rectangle, (B, T)."""
    longest = int(lengths.max(initial=0))
    columns = np.arange(longest)
    is_real: NDArray[np.bool_] = (
        columns >= longest - lengths[:, None] if left else columns < lengths[:, None]
    )
    return is_real


def _as_labels(values: NDArray[Any]) -> torch.Tensor:
    """As torch makes a tensor of Python numbers."""
    kind = np.int64 if values.dtype.kind in "iu" else np.float32
    return torch.from_numpy(values.astype(kind))

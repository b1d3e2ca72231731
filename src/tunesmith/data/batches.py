"""Batches: slices of prepared data, padded to the longest sequence of each, as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.token_cache import Encoded, Prepared, hold_in_memory

if TYPE_CHECKING:
    import torch

__all__ = [
    "IGNORED",
    "Batch",
    "Examples",
    "Padding",
    "as_target",
    "by_length",
    "count_targets",
    "make_batch",
]

IGNORED = -100
"""A label that no loss counts, as torch's cross entropy has it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors for one forward pass.

    Attributes:
        inputs: what the model takes: "input_ids", "attention_mask" and maybe "token_type_ids", each
            int64 of shape (B, T), T the longest sequence of the batch.
        labels: (B,) classes or numbers, (B, C) sets of labels, (B, T) per token; None if there are
            none.
        num_targets: how many entries of `labels` count in the loss.
        num_tokens: real tokens, without padding.
        examples: which examples these are, shape (B,).
        is_dummy: whether it only keeps a process in step with the others; its loss is zero.
    """

    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor | None
    num_targets: int
    num_tokens: int
    examples: NDArray[np.int64]
    is_dummy: bool = False

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, inputs=inputs, labels=labels)


@dataclass(frozen=True, slots=True)
class Padding:
    """How sequences are made equally long: a value per column, and the side.

    Attributes:
        values: the filling of each ragged column.
        left: whether the filling comes first, as some decoders want it.
    """

    values: Mapping[str, int]
    left: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> Padding:
        """The padding that a tokenizer asks for."""
        return cls(
            {
                "input_ids": tokenizer.pad_token_id or 0,
                "token_type_ids": tokenizer.pad_token_type_id,
                "labels": IGNORED,
            },
            left=tokenizer.padding_side == "left",
        )


@dataclass(frozen=True, slots=True)
class Examples:
    """Some examples of a prepared set: a split, or a drawn share of one.

    Attributes:
        prepared: the whole set.
        indices: which of its examples, in order; None for all.
    """

    prepared: Prepared
    indices: NDArray[np.int64] | None = None

    @classmethod
    def of_labels(cls, labels: NDArray[Any]) -> Examples:
        """Labels alone, in the shape that scoring takes."""
        count = np.arange(len(labels), dtype=np.int64)
        return cls(hold_in_memory(Encoded({}, {"labels": labels}, count, count)))

    def __len__(self) -> int:
        return len(self.prepared) if self.indices is None else len(self.indices)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The examples of the prepared set at some places of this one."""
        return places if self.indices is None else self.indices[places]

    @property
    def labels(self) -> NDArray[Any]:
        """The labels of labelled examples; the first dimension counts examples."""
        labels = self.prepared.fixed["labels"]
        return labels if self.indices is None else labels[self.indices]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The index of the source row that each example comes from, shape (n,)."""
        rows = self.prepared.rows
        return rows if self.indices is None else rows[self.indices]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, shape (n,)."""
        return self.prepared.lengths(self.indices)


def make_batch(
    examples: Examples,
    places: NDArray[np.int64],
    padding: Padding,
    *,
    is_dummy: bool = False,
) -> Batch:
    """Cut a batch out of prepared data, on the CPU.

    Args:
        examples: where from.
        places: which of them, shape (B,).
        padding: how to fill.
        is_dummy: True for a batch whose targets do not count.
    """
    import torch

    prepared = examples.prepared
    chosen = examples.at(places)
    tensors: dict[str, torch.Tensor] = {}
    tokens = 0
    for name in prepared.names:
        padded, mask = _pad([prepared.sequence(name, i) for i in chosen.tolist()], name, padding)
        tensors[name] = torch.from_numpy(padded)
        if name == "input_ids":
            tensors["attention_mask"] = torch.from_numpy(mask)
            tokens = int(mask.sum())
    labels = tensors.pop("labels", None)
    if labels is None and "labels" in prepared.fixed:
        labels = as_target(prepared.fixed["labels"][chosen])
    prepared.note_reads(len(chosen))
    return Batch(
        tensors, labels, 0 if is_dummy else count_targets(labels), tokens, places, is_dummy
    )


def _pad(
    sequences: Sequence[NDArray[Any]], name: str, padding: Padding
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sequences as one rectangle, shape (B, T), and where it is real."""
    longest = max(len(sequence) for sequence in sequences)
    padded = np.full((len(sequences), longest), padding.values.get(name, 0), dtype=np.int64)
    mask = np.zeros((len(sequences), longest), dtype=np.int64)
    for i, sequence in enumerate(sequences):
        part = slice(longest - len(sequence), longest) if padding.left else slice(len(sequence))
        padded[i, part] = sequence
        mask[i, part] = 1
    return padded, mask


def as_target(values: NDArray[Any]) -> torch.Tensor:
    """Labels, one entry per example, as a loss takes them: classes int64, everything else float."""
    import torch

    kind = np.int64 if values.dtype.kind in "iub" and values.ndim == 1 else np.float32
    return torch.from_numpy(values.astype(kind))


def count_targets(labels: torch.Tensor | None) -> int:
    """How many entries of labels count: every number, and every class that is not `IGNORED`."""
    if labels is None:
        return 0
    return labels.numel() if labels.is_floating_point() else int((labels != IGNORED).sum())


def by_length(
    lengths: NDArray[np.int64], batch_size: int | None, *, max_tokens: int
) -> Iterator[NDArray[np.int64]]:
    """Places cut into batches of nearly equal length, the longest first: memory shows at once.

    Args:
        lengths: of each example, shape (n,).
        batch_size: the most examples per batch; None for as many as their tokens allow.
        max_tokens: without a batch size, the most tokens per batch, padding counted; one example
            is always taken.

    Yields:
        Places of a batch; together each place once.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        count = batch_size or max(1, max_tokens // max(1, longest))
        yield order[start : start + count]
        start += count

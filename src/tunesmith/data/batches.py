"""Batches: slices of prepared data, padded to the longest sequence of each, as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Prepared

if TYPE_CHECKING:
    import torch

__all__ = [
    "IGNORED",
    "TARGET",
    "Batch",
    "Examples",
    "LabelsAre",
    "Padding",
    "Reading",
    "as_target",
    "by_length",
    "count_targets",
    "make_batch",
]

TARGET = "target_ids"
"""The column of labels that are sequences of their own; they are always filled on the right."""

IGNORED = -100
"""A label that no loss counts, as torch's cross entropy has it."""


LabelsAre = Literal["example", "token", "target"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors for one forward pass: B examples with S sequences, one each if `owner` is None.

    Attributes:
        inputs: what the model takes: "input_ids", "attention_mask" and maybe "token_type_ids", each
            int64 of shape (S, T), T the longest sequence of the batch.
        labels: see `labels_are`; None if there are none.
        num_targets: how many entries of `labels` count in the loss.
        num_tokens: real tokens, without padding.
        examples: which examples these are, shape (B,).
        labels_are: of an "example": (B,) classes or numbers, (B, C) sets of labels; of a "token":
            (S, T); or a "target", sequences of their own, (S, longest target).
        owner: which of the B examples each sequence belongs to, int64 (S,); None for its own.
        rows: which of the S sequences each label of a token belongs to, of the shape of `labels`,
            where they were packed into one row; None for the row that it is in.
        is_dummy: whether it only keeps a process in step with the others; its loss is zero.
    """

    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor | None
    num_targets: int
    num_tokens: int
    examples: NDArray[np.int64]
    is_dummy: bool = False
    labels_are: LabelsAre = "example"
    owner: torch.Tensor | None = None
    rows: torch.Tensor | None = None

    def example_of_labels(self) -> torch.Tensor:
        """Return which of the B examples each label of a token belongs to, in `labels`' shape."""
        import torch

        assert self.labels is not None  # noqa: S101 - asked only of labels
        rows = self.rows
        if rows is None:
            rows = torch.arange(len(self.labels), device=self.labels.device)[:, None]
        rows = rows.expand_as(self.labels)
        return rows if self.owner is None else self.owner[rows]

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        labels, owner, rows = (
            None if tensor is None else tensor.to(device)
            for tensor in (self.labels, self.owner, self.rows)
        )
        return replace(self, inputs=inputs, labels=labels, owner=owner, rows=rows)


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


class Reading(NamedTuple):
    """Examples as they are read.

    Attributes:
        prepared: a set with them.
        chosen: which examples of the set they are, shape (n,).
        places: their positions among those that were requested, without what was left out.
    """

    prepared: Prepared
    chosen: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Some examples of a prepared set: a split, or a fraction of one.

    Attributes:
        prepared: the whole set.
        indices: which of its examples, in order; None for all.
    """

    prepared: Prepared
    indices: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.prepared) if self.indices is None else len(self.indices)

    @property
    def sample(self) -> Examples:
        """Examples that lengths and the like are known of: these, or some of very many."""
        return self

    def read(self, places: NDArray[np.int64]) -> Reading:
        """Return the examples at some positions."""
        return Reading(self.prepared, self.at(places), places)

    def rows_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the source row of the examples at some positions."""
        return self.rows[places]

    def at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the examples of the prepared set at some positions of this one."""
        return places if self.indices is None else self.indices[places]

    @property
    def labels(self) -> NDArray[Any]:
        """The labels of labeled examples; the first dimension counts examples."""
        labels = self.prepared.fixed["labels"]
        return labels if self.indices is None else labels[self.indices]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The index of the source row that each example comes from, shape (n,)."""
        rows = self.prepared.rows
        return rows if self.indices is None else rows[self.indices]

    @property
    def row_starts(self) -> NDArray[np.int64]:
        """The first example of each row, shape (rows,); examples of a row are neighbors."""
        return np.flatnonzero(np.diff(self.rows, prepend=-1))

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The index of each source row that gave an example, shape (rows,)."""
        return self.rows[self.row_starts]

    @property
    def num_rows(self) -> int:
        """How many source rows gave examples."""
        return len(self.row_starts)

    def subset(self, places: NDArray[np.int64]) -> Examples:
        """Return the examples at some positions."""
        return Examples(self.prepared, self.at(places))

    def of_rows(self, places: NDArray[np.int64]) -> Examples:
        """Return all examples of the rows at some positions among `row_numbers`."""
        is_chosen = np.zeros(self.num_rows, dtype=np.bool_)
        is_chosen[places] = True
        counts = np.diff(self.row_starts, append=len(self))
        return self.subset(np.flatnonzero(np.repeat(is_chosen, counts)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """What each example costs: tokens of all its sequences and of its target, shape (n,)."""
        lengths = self.prepared.lengths(self.indices)
        if TARGET in self.prepared.names:
            lengths = lengths + self.prepared.lengths(self.indices, name=TARGET)
        return lengths


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

    prepared, chosen, places = examples.read(places)
    if not len(chosen):  # all were left out
        prepared, chosen, is_dummy = examples.prepared, np.zeros(1, dtype=np.int64), True
        places = chosen
    tensors: dict[str, torch.Tensor] = {}
    owner, num_tokens = None, 0
    for name in prepared.names:
        parts = [prepared.sequences(name, i) for i in chosen.tolist()]
        padded, mask = _pad([sequence for part in parts for sequence in part], name, padding)
        tensors[name] = torch.from_numpy(padded)
        if name == "input_ids":
            tensors["attention_mask"] = torch.from_numpy(mask)
            num_tokens = int(mask.sum())
            if prepared.has_parts and any(len(part) != 1 for part in parts):
                owner = torch.from_numpy(np.repeat(np.arange(len(parts)), list(map(len, parts))))
    labels: torch.Tensor | None = tensors.pop("labels", None)
    labels_are: LabelsAre = "token"
    if TARGET in tensors:
        labels, labels_are = tensors.pop(TARGET), "target"
    elif "labels" in prepared.fixed:
        labels, labels_are = as_target(prepared.fixed["labels"][chosen]), "example"
    prepared.note_reads(len(chosen))
    num_targets = 0 if is_dummy else count_targets(labels)
    return Batch(
        tensors, labels, num_targets, num_tokens, places,
        is_dummy=is_dummy, labels_are=labels_are, owner=owner,
    )  # fmt: skip


def _pad(
    sequences: Sequence[NDArray[Any]], name: str, padding: Padding
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sequences as one rectangle, shape (B, T), and where it is real."""
    longest = max((len(sequence) for sequence in sequences), default=0)
    fill = IGNORED if name == TARGET else padding.values.get(name, 0)
    padded = np.full((len(sequences), longest), fill, dtype=np.int64)
    mask = np.zeros((len(sequences), longest), dtype=np.int64)
    for i, sequence in enumerate(sequences):
        part = (
            slice(longest - len(sequence), longest)
            if padding.left and name != TARGET
            else slice(len(sequence))
        )
        padded[i, part] = sequence
        mask[i, part] = 1
    return padded, mask


def as_target(values: NDArray[Any]) -> torch.Tensor:
    """Labels as a loss takes them: integers as int64, numbers and truth values as float32."""
    import torch

    kind = np.int64 if values.dtype.kind in "iu" else np.float32
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

"""Packing: the real tokens of a batch, one sequence after the other, in one row without padding.

Shapes: B sequences of at most L tokens, T tokens in all, `batch` order as the batch came, `pack`
order in the pack: the longest first, so that attention can take them in groups of
nearly equal length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.data.batches import IGNORED, Batch
from tunesmith.training.fast.ragged_attention import Ragged

__all__ = [
    "Group",
    "Pack",
    "Sequences",
    "groups_of",
    "has_empty_row",
    "in_parts",
    "pack_batch",
    "pack_tokens",
    "repad",
    "widened",
]

_WASTE = 1 << 12
"""Padded places (pairs of a query and a key) that cost as much as one more group."""

_LARGEST = 1 << 22
"""The most pairs of a query and a key in one group: attention needs memory for each."""

_TOKENS_TO, _LONGEST_TO = 16, 8
"""Packs, and the length of their groups, are filled up to multiples: libraries make a kernel for
each new shape, which costs time and is kept in memory."""

_PARTS = 4
"""Parts of a batch for models that cannot run packed."""


@dataclass(frozen=True, eq=False)
class Group:
    """Neighboring sequences of a pack that attention pads to the length of the longest.

    Attributes:
        count: sequences.
        longest: tokens of the longest, rounded up.
        start: the first token in the pack.
        stop: behind the last token.
        lengths: of each sequence, int64 (count,).
        masks: what attention hides, kept for the layers that ask for the same.
    """

    count: int
    longest: int
    start: int
    stop: int
    lengths: NDArray[np.int64]
    _indices: dict[tuple[int, torch.device], tuple[torch.Tensor, torch.Tensor]] = field(
        default_factory=dict, repr=False
    )
    masks: dict[object, torch.Tensor] = field(default_factory=dict, repr=False)

    @property
    def is_even(self) -> bool:
        """Whether all sequences are equally long, so that nothing is padded."""
        return self.stop - self.start == self.count * self.longest

    def by_head(self, heads: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Indices between rows (token, head) of the group and places (sequence, head, column).

        All layers ask for the same; they are computed once.

        Returns:
            For each place a row, int64 (count * heads * longest,), any row of the sequence for
            padding; and for each row its place, int64 ((stop - start) * heads,).
        """
        if (heads, device) not in self._indices:
            padded, real = self._by_head(heads)
            self._indices[heads, device] = padded.to(device), real.to(device)
        return self._indices[heads, device]

    def _by_head(self, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
        columns, head = np.arange(self.longest), np.arange(heads)
        first = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        token = first[:, None] + np.minimum(columns[None], self.lengths[:, None] - 1)
        padded = token[:, None, :] * heads + head[None, :, None]
        sequence = np.repeat(np.arange(self.count), self.lengths)
        column = np.arange(self.stop - self.start) - first[sequence]
        real = (sequence[:, None] * heads + head[None]) * self.longest + column[:, None]
        return torch.from_numpy(padded.ravel()), torch.from_numpy(real.ravel())


class Sequences(Protocol):
    """What attention and the layout ask of a pack."""

    @property
    def first(self) -> torch.Tensor:
        """The first token of each sequence in batch order, int64 (B,)."""
        ...

    @property
    def last(self) -> torch.Tensor:
        """The last token of each sequence in batch order, int64 (B,)."""
        ...

    @property
    def groups(self) -> tuple[Group, ...]:
        """The sequences in groups that waste little when padded."""
        ...

    @property
    def ragged(self) -> Ragged | None:
        """For torch's own kernels; None for groups."""
        ...


@dataclass(frozen=True)
class Pack:
    """The layout of the sequences of a batch in a pack.

    Attributes:
        batch_size: B.
        longest: L.
        lengths: of each sequence in pack order, int64 (B,).
        order: the batch row of each sequence in pack order, int64 (B,).
        rows: the batch row of each token, int64 (T,).
        columns: the padded column of each token, int64 (T,); with left padding not its position.
        ragged: for torch's own kernels; None for groups.
    """

    batch_size: int
    longest: int
    lengths: NDArray[np.int64]
    order: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    ragged: Ragged | None = None

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first token of each sequence and the end of the last, in pack order, (B + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """The position of each token in its sequence, from 0, (T,)."""
        return np.arange(self.starts[-1]) - np.repeat(self.starts[:-1], self.lengths)

    @cached_property
    def first(self) -> torch.Tensor:
        """The first token of each sequence in batch order, int64 (B,)."""
        return torch.from_numpy(self.starts[:-1][np.argsort(self.order)])

    @cached_property
    def last(self) -> torch.Tensor:
        """The last token of each sequence in batch order, int64 (B,)."""
        return torch.from_numpy(self.starts[1:][np.argsort(self.order)] - 1)

    @cached_property
    def places(self) -> torch.Tensor:
        """The place of each token in the padded batch of (B, L), int64 (T,)."""
        return torch.from_numpy(self.rows * self.longest + self.columns)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The sequences in groups that waste little when padded."""
        return groups_of(self.lengths)


def groups_of(lengths: NDArray[np.int64]) -> tuple[Group, ...]:
    """Neighboring sequences of these lengths in groups that waste little when padded."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return tuple(
        Group(
            stop - start,
            -(-int(lengths[start]) // _LONGEST_TO) * _LONGEST_TO,
            int(starts[start]),
            int(starts[stop]),
            lengths[start:stop],
        )
        for start, stop in _cut(lengths)
    )


def _cut(lengths: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where groups begin and end: a new one where padding would cost more than a group."""
    start, waste = 0, 0
    for i, length in enumerate(lengths.tolist()):
        longest = int(lengths[start])
        waste += longest * longest - length * length
        is_full = waste > _WASTE or (i - start + 1) * longest * longest > _LARGEST
        if length > longest or (i > start and is_full):
            yield start, i
            start, waste = i, 0
    yield start, len(lengths)


def pack_batch(batch: Batch, *, first_position: int) -> tuple[Pack, Batch]:
    """Lay the sequences of a padded batch one after the other.

    Args:
        batch: on the CPU; inputs of shape (B, L) with an "attention_mask".
        first_position: the position id of the first token of a sequence.

    Returns:
        How they lie, and a batch whose inputs have shape (1, T'), with "position_ids" and without
        the mask; labels stay as they are. After the T tokens the first one is repeated up to a
        round number T': these are neither attended to nor read.
    """
    mask = batch.inputs["attention_mask"].numpy().astype(bool)
    lengths = mask.sum(axis=1)
    order = np.argsort(-lengths, kind="stable")
    sequence, columns = np.nonzero(mask[order])
    pack = Pack(len(mask), mask.shape[1], lengths[order], order, order[sequence], columns)
    tail = np.zeros(-len(columns) % _TOKENS_TO, dtype=np.int64)
    rows, columns = (np.concatenate([at, at[tail]]) for at in (pack.rows, columns))
    inputs = {
        name: torch.from_numpy(values.numpy()[rows, columns])[None]
        for name, values in batch.inputs.items()
        if name != "attention_mask"
    }
    positions = np.concatenate([pack.positions, tail]) + first_position
    inputs["position_ids"] = torch.from_numpy(positions)[None]
    return pack, replace(batch, inputs=inputs)


def pack_tokens(batch: Batch, pack: Pack, packed: Batch) -> Batch:
    """Give each token of a pack what a head for tokens asks for.

    Args:
        batch: padded, on the CPU.
        pack: how its sequences lie.
        packed: the pack as a batch, on the CPU.

    Returns:
        The pack with "attention_mask", 0 for what fills it up; with the row of each token; and with
        labels of tokens in its order.
    """
    filling = packed.inputs["input_ids"].shape[1] - len(pack.rows)
    rows = np.append(pack.rows, np.repeat(pack.rows[:1], filling))
    mask = np.repeat([1, 0], [len(pack.rows), filling])
    labels = batch.labels
    if labels is not None and batch.labels_are == "token":
        labels = nn.functional.pad(labels.flatten()[pack.places], (0, filling), value=IGNORED)[None]
    inputs = {**packed.inputs, "attention_mask": torch.from_numpy(mask)[None]}
    return replace(packed, inputs=inputs, labels=labels, rows=torch.from_numpy(rows)[None])


def repad(hidden: torch.Tensor, pack: Pack) -> torch.Tensor:
    """Hidden states (1, T', H) as a padded batch (B, L, H), zero where there is no token."""
    width = hidden.shape[-1]
    flat = hidden.new_zeros(pack.batch_size * pack.longest, width)
    places = pack.places.to(hidden.device)
    return flat.index_copy(0, places, hidden[0, : len(places)]).view(
        pack.batch_size, pack.longest, width
    )


def in_parts(batch: Batch) -> list[Batch]:
    """The rows of a padded batch in parts of nearly equal length, each cut to its longest.

    Examples of several sequences stay together: the batch is the only part.
    """
    if batch.owner is not None:
        return [batch]
    mask = batch.inputs["attention_mask"].numpy()
    lengths = mask.sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    left = bool((mask[:, 0] == 0).any())
    parts = []
    for rows in np.array_split(order, min(_PARTS, len(order))):
        longest = int(lengths[rows].max())
        columns = slice(mask.shape[1] - longest, None) if left else slice(longest)
        at = torch.from_numpy(rows)
        inputs = {name: values[at][:, columns] for name, values in batch.inputs.items()}
        labels = batch.labels
        if labels is not None:
            labels = labels[at][:, columns] if batch.labels_are == "token" else labels[at]
        parts.append(
            replace(
                batch,
                inputs=inputs,
                labels=labels,
                examples=batch.examples[rows],
                num_tokens=int(lengths[rows].sum()),
            )
        )
    return parts


def widened(batch: Batch, columns: int, pad_id: int) -> Batch:
    """A padded batch with more padding; a model that sees padding answers otherwise."""
    mask = batch.inputs["attention_mask"]
    left = bool((mask[:, 0] == 0).any())
    sides = (columns, 0) if left else (0, columns)
    inputs = {
        name: nn.functional.pad(values, sides, value=pad_id if name == "input_ids" else 0)
        for name, values in batch.inputs.items()
    }
    labels = batch.labels
    if labels is not None and batch.labels_are == "token":
        labels = nn.functional.pad(labels, sides, value=IGNORED)
    return replace(batch, inputs=inputs, labels=labels)


def has_empty_row(batch: Batch) -> bool:
    """Whether some row of a padded batch has no token at all."""
    return not bool(batch.inputs["attention_mask"].any(dim=1).all())

"""Tables: examples on the device, one after the other, from which packs are gathered there.

A data set that is small is copied once; then a step needs no more from the host than which examples
it takes. Of a larger one, or where the host draws something about rows, each batch is a table of
its own, copied as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples, as_target, count_targets
from tunesmith.training.fast.graphs.buckets import Bucket, BucketPack
from tunesmith.training.fast.packing import pack_batch

__all__ = ["LARGEST", "DataSet", "Table", "send"]

LARGEST = 1 << 30
"""Bytes of a data set that is copied to the device whole; larger ones come batch by batch."""

_COLUMNS = {"input_ids", "token_type_ids"}


@dataclass(frozen=True)
class Table:
    """Examples on a device.

    Attributes:
        columns: ragged ones by name, such as "input_ids"; int32, flat, (tokens of all,).
        offsets: where the tokens of each example begin, int64 (n,).
        lengths: how many they are, int64 (n,).
        labels: n entries.
    """

    columns: Mapping[str, torch.Tensor]
    offsets: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def empty(cls, like: Batch, bucket: Bucket, device: torch.device) -> Table:
        """Room for the rows of one batch at a time."""
        assert like.labels is not None  # noqa: S101 - training rows have labels
        names = like.inputs.keys() - {"attention_mask"}
        columns = {
            name: torch.zeros(bucket.tokens, dtype=torch.int32, device=device)
            for name in sorted(names)
        }
        return cls(
            columns,
            torch.zeros(bucket.rows, dtype=torch.int64, device=device),
            torch.zeros(bucket.rows, dtype=torch.int64, device=device),
            torch.zeros_like(like.labels, device=device),
        )

    def fill(self, batch: Batch) -> None:
        """Put the rows of a padded batch from the host here, the longest first."""
        pack, packed = pack_batch(batch, first_position=0)
        assert packed.labels is not None  # noqa: S101 - training rows have labels
        for name, flat in self.columns.items():
            count = len(pack.rows)
            send(packed.inputs[name][0, :count].to(torch.int32), flat[:count])
        send(torch.from_numpy(pack.starts[:-1]), self.offsets)
        send(torch.from_numpy(pack.lengths), self.lengths)
        send(packed.labels[torch.from_numpy(pack.order)], self.labels)

    def gathered(self, pack: BucketPack) -> dict[str, torch.Tensor]:
        """The columns in the order of a pack, int64 (1, T)."""
        return {name: flat[pack.sources].long()[None] for name, flat in self.columns.items()}


@dataclass(frozen=True)
class DataSet:
    """All training examples as one table, and what the host still wants to know of them.

    Attributes:
        table: on the device.
        lengths: of the examples, on the host, (n,).
        labels: on the host, n entries.
    """

    table: Table
    lengths: NDArray[np.int64]
    labels: torch.Tensor

    @classmethod
    def copied(cls, examples: Examples, device: torch.device) -> DataSet | None:
        """The training examples on a device; None if they are too many or not tokens alone."""
        prepared = examples.prepared
        lengths = examples.lengths
        size = 4 * len(prepared.names) * int(lengths.sum()) + 16 * len(lengths)
        is_plain = "labels" in prepared.fixed and not prepared.has_parts
        if size > LARGEST or set(prepared.names) - _COLUMNS or not is_plain:
            return None
        if lengths.min(initial=1) == 0:  # a row without tokens has no place in a pack
            return None
        chosen = examples.at(np.arange(len(examples))).tolist()
        columns = {}
        for name in prepared.names:
            flat = np.concatenate([prepared.sequence(name, i) for i in chosen])
            columns[name] = torch.from_numpy(flat.astype(np.int32)).to(device)
        labels = as_target(examples.labels)
        offsets = torch.from_numpy(np.cumsum(lengths) - lengths).to(device)
        table = Table(columns, offsets, torch.from_numpy(lengths).to(device), labels.to(device))
        return cls(table, lengths, labels)

    def batch(self, places: NDArray[np.int64]) -> Batch:
        """Some examples as a batch without tensors: the device has them."""
        targets = count_targets(self.labels[torch.from_numpy(places)])
        return Batch({}, None, targets, int(self.lengths[places].sum()), places)

    def longest_first(self, places: NDArray[np.int64]) -> torch.Tensor:
        """Places in the order in which attention in groups wants them, int64 (B,)."""
        order = np.argsort(-self.lengths[places], kind="stable")
        return torch.from_numpy(places[order])


def send(values: torch.Tensor, target: torch.Tensor) -> None:
    """Copy to the device without waiting: torch keeps pinned memory until it has been read."""
    if target.device.type == "cuda":
        values = values.pin_memory()
    target.copy_(values, non_blocking=True)

"""Token buckets: packs of few sizes, so that what is recorded for one size serves many batches.

A pack of a bucket has a fixed number of tokens and of sequences. Behind the real tokens lie dummy
sequences, none longer than the longest real one may be, so that every row belongs to a sequence:
a kernel would leave others uninitialized, and zero times NaN is NaN. Outputs of dummies are not
read, so their gradients are zero. Sequences beyond these are empty.

All of it is computed where the examples lie, in shapes that do not depend on them: nothing waits
for a device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from tunesmith.training.fast.packing import Group, groups_of
from tunesmith.training.fast.ragged_attention import Kernels, Ragged

__all__ = ["Bucket", "BucketPack", "bucket_for", "pack_bucket"]

_SMALLEST = 64
"""Tokens between two buckets, for packs of at most `_SMALL`."""

_SMALL = 1024
"""Above, there are eight buckets to each doubling: 128 apart, from 2048 on 256."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The fixed shape of a pack.

    Attributes:
        tokens: T, dummies included.
        rows: B, real sequences.
        longest: the most tokens of a sequence.
    """

    tokens: int
    rows: int
    longest: int

    @property
    def dummies(self) -> int:
        """Sequences that cover the most that can be left over, which is all but a token a row."""
        return max(1, math.ceil(min(self.tokens - self.rows, _gap(self.tokens)) / self.longest))


def bucket_for(tokens: int, rows: int, longest: int) -> Bucket:
    """The smallest bucket that holds so many real tokens."""
    gap = _gap(tokens)
    return Bucket(gap * math.ceil(tokens / gap), rows, longest)


def _gap(tokens: int) -> int:
    """From one bucket to the next, at so many tokens."""
    if tokens <= _SMALL:
        return _SMALLEST
    return _SMALLEST << (math.ceil(tokens / _SMALL) - 1).bit_length()


@dataclass(frozen=True)
class BucketPack:
    """The layout of sequences in a bucket, on the device.

    Attributes:
        sources: the index of each token among those of all examples, int64 (T,); dummies repeat
            the first.
        positions: of each token in its sequence, from 0, int64 (T,).
        lengths: of the sequences, dummies behind the real ones, int64 (B + dummies,).
        starts: the first token of each sequence and the end of the last, int64 (B + dummies + 1,).
        bucket: whose shape it has.
        kernels: torch's own for ragged attention; None for groups, which read lengths on the host.
    """

    sources: torch.Tensor
    positions: torch.Tensor
    lengths: torch.Tensor
    starts: torch.Tensor
    bucket: Bucket
    kernels: Kernels | None

    @cached_property
    def first(self) -> torch.Tensor:
        """The first token of each real sequence, int64 (B,)."""
        return self.starts[: self.bucket.rows]

    @cached_property
    def last(self) -> torch.Tensor:
        """The last token of each real sequence, int64 (B,)."""
        return self.starts[1 : self.bucket.rows + 1] - 1

    @cached_property
    def ragged(self) -> Ragged | None:
        """For torch's own kernels."""
        if self.kernels is None:
            return None
        return self.kernels.ragged(self.starts, self.bucket.longest, self.starts.device)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """For attention in groups; on a GPU this waits, and cannot be recorded."""
        lengths = self.lengths.cpu().numpy()
        return groups_of(lengths[lengths > 0])


def pack_bucket(
    bucket: Bucket,
    offsets: torch.Tensor,
    lengths: torch.Tensor,
    kernels: Kernels | None = None,
) -> BucketPack:
    """Lay sequences one after the other, dummies behind them.

    Args:
        bucket: which holds them.
        offsets: where the tokens of each begin among those of all examples, int64 (B,).
        lengths: how many they are, int64 (B,), none above `bucket.longest`.
        kernels: as `BucketPack` has them.
    """
    device = offsets.device
    covered = torch.arange(bucket.dummies, device=device) * bucket.longest
    rest = bucket.tokens - lengths.sum() - covered
    every = torch.cat([lengths, rest.clamp(0, bucket.longest)])
    starts = torch.nn.functional.pad(every.cumsum(0), (1, 0))
    tokens = torch.arange(bucket.tokens, device=device)
    sequence = torch.searchsorted(starts[1:], tokens, right=True)
    positions = tokens - starts[sequence]
    is_real = sequence < bucket.rows
    begin = offsets[sequence.clamp(max=bucket.rows - 1)]
    sources = torch.where(is_real, begin + positions, offsets[:1])
    return BucketPack(sources, positions, every, starts, bucket, kernels)

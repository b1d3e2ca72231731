from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.fast.graphs.buckets import Bucket, BucketPack, bucket_for, pack_bucket
from tunesmith.training.fast.ragged_attention import Kernels

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def laid_of(sizes: list[int], *, longest: int = 40) -> tuple[Bucket, BucketPack, torch.Tensor]:
    """Rows whose tokens are in the order of the rows, with seven others before them."""
    ends = torch.tensor(sizes).cumsum(0)
    offsets = 7 + ends - torch.tensor(sizes)
    bucket = bucket_for(sum(sizes), len(sizes), longest)
    return bucket, pack_bucket(bucket, offsets, torch.tensor(sizes)), offsets


@given(lengths)
def test_every_real_token_is_in_the_pack_once_and_in_order(sizes: list[int]) -> None:
    _bucket, pack, _offsets = laid_of(sizes)
    real = pack.sources[: sum(sizes)]
    assert real.tolist() == list(range(7, 7 + sum(sizes)))
    expected = np.concatenate([np.arange(n) for n in sizes])
    assert pack.positions[: sum(sizes)].tolist() == expected.tolist()
    assert pack.first.tolist() == (np.cumsum(sizes) - sizes).tolist()
    assert pack.last.tolist() == (np.cumsum(sizes) - 1).tolist()


@given(lengths, st.integers(1, 200))
def test_the_tail_is_covered_by_sequences_that_are_not_too_long(
    sizes: list[int], more: int
) -> None:
    longest = max(sizes) + more - 1
    bucket, pack, offsets = laid_of(sizes, longest=longest)
    assert pack.lengths[: bucket.rows].tolist() == sizes
    assert int(pack.lengths.sum()) == bucket.tokens == int(pack.starts[-1]) == len(pack.sources)
    assert int(pack.lengths.min()) >= 0 and int(pack.lengths.max()) <= longest
    assert int(pack.positions.max()) < longest
    assert set(pack.sources[sum(sizes) :].tolist()) <= {int(offsets[0])}
    dummies = pack.lengths[bucket.rows :]
    empty = (dummies == 0).nonzero().flatten()
    assert empty.numel() == 0 or int(dummies[int(empty[0]) :].sum()) == 0
    assert len(pack.starts) == bucket.rows + bucket.dummies + 1


@given(lengths)
def test_groups_are_those_sequences(sizes: list[int]) -> None:
    _bucket, pack, _offsets = laid_of(sorted(sizes, reverse=True))
    groups = pack.groups
    assert groups[0].start == 0 and groups[-1].stop == len(pack.sources)
    assert [one.stop for one in groups[:-1]] == [one.start for one in groups[1:]]
    assert all(int(group.lengths.max()) <= group.longest for group in groups)
    together = [int(n) for group in groups for n in group.lengths]
    assert together == [n for n in pack.lengths.tolist() if n]


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_buckets_are_few_and_hold_what_they_are_for(one: int, other: int) -> None:
    small, large = sorted((one, other))
    first, second = (bucket_for(tokens, 1, 128).tokens for tokens in (small, large))
    assert small <= first <= second >= large
    assert first - small < max(64, small / 8)
    assert bucket_for(first, 1, 128).tokens == first


def test_eight_buckets_to_a_doubling() -> None:
    for low in (512, 1024, 2048, 4096, 65_536):
        result = {bucket_for(tokens, 1, 128).tokens for tokens in range(low + 1, 2 * low + 1)}
        assert len(result) == 8
    assert [bucket_for(n, 1, 128).tokens for n in (1, 64, 65, 1024, 1025)] == [
        64, 64, 128, 1024, 1152,
    ]  # fmt: skip


def test_a_shape_depends_on_the_bucket_alone() -> None:
    """What is recorded for one batch serves another."""
    shapes = []
    for sizes in ([10, 20, 30], [40, 1, 1], [1, 1, 1], [21, 21, 22]):
        bucket, pack, _offsets = laid_of(sizes)
        assert bucket == Bucket(64, 3, 40)
        shapes.append([t.shape for t in (pack.sources, pack.positions, pack.starts, pack.lengths)])
    assert all(one == shapes[0] for one in shapes)


def test_kernels_are_reported_where_sequences_begin() -> None:
    bucket = bucket_for(6, 2, 4)
    pack = pack_bucket(bucket, torch.tensor([0, 4]), torch.tensor([4, 2]), Kernels())
    ragged = pack.ragged
    assert ragged is not None and ragged.longest == 4
    assert ragged.starts.dtype == torch.int32
    assert ragged.starts.tolist()[:3] == [0, 4, 6] and int(ragged.starts[-1]) == 64
    assert pack_bucket(bucket, torch.tensor([0, 4]), torch.tensor([4, 2])).ragged is None

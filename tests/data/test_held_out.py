from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.held_out import HeldOut

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=100).filter(lambda sizes: sum(sizes) > 9)


@settings(max_examples=25)
@given(SIZES, st.sampled_from([(), (0.1,), (0.3,), (0.1, 0.2), (0.4, 0.4)]), st.integers(0, 2**40))
def test_each_row_is_in_one_part_and_each_part_has_its_size(
    sizes: list[int], fractions: tuple[float, ...], seed: int
) -> None:
    held = HeldOut.of(np.array(sizes, dtype=np.int64), fractions, seed)
    parts = [held.rows(part) for part in range(len(fractions))]
    for rows, fraction in zip(parts, fractions, strict=True):
        assert len(rows) == max(1, round(fraction * sum(sizes)))
    train = [
        held.training_rows(shard, np.arange(count))
        for shard, count in enumerate(held.remaining.tolist())
    ]
    for shard, rows in enumerate(train):
        first = sum(sizes[:shard])
        assert all(first <= row < first + sizes[shard] for row in rows.tolist())
    assert sorted(np.concatenate([*parts, *train]).tolist()) == list(range(sum(sizes)))


def test_few_shards_are_read_to_find_few_rows() -> None:
    held = HeldOut.of(np.full(10_000, 16_384, dtype=np.int64), [0.0001], 42)
    rows = held.rows(0)
    assert len(rows) == 16_384
    assert len(np.unique(rows // 16_384)) == 64

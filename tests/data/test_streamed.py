from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.encoded import Encoded, Prepared, Ragged, hold_in_memory
from tunesmith.data.streamed import TokenizedShards
from tunesmith.errors import DataError


def shard(number: int) -> Prepared:
    """Four examples of 1, 2, 3 and 4 tokens."""
    lengths = np.arange(1, 5)
    flat = (number * 100 + np.arange(10)).astype(np.uint16)
    rows = np.arange(4) + 4 * number
    return hold_in_memory(
        Encoded({"input_ids": Ragged(flat, lengths)}, {"labels": rows % 2}, rows, lengths)
    )


class Shards:
    """Counts what is prepared; shard 9 cannot be."""

    def __init__(self) -> None:
        self.prepared: list[int] = []

    def __call__(self, number: int) -> Prepared:
        self.prepared.append(number)
        if number == 9:
            raise DataError.of("D206", "no such label")
        return shard(number)


def test_examples_are_copied_in_the_requested_order() -> None:
    shards = TokenizedShards(Shards())
    copied, is_there = shards.read(np.array([2, 0, 2]), np.array([11, 0, 9]))
    assert copied is not None
    assert is_there.all()
    assert [copied.sequence("input_ids", i).tolist() for i in range(3)] == [
        [206, 207, 208, 209],
        [0],
        [201, 202],
    ]
    assert copied.rows.tolist() == [11, 0, 9]
    assert copied.fixed["labels"].tolist() == [1, 0, 1]
    assert copied.fixed["labels"].dtype == shard(0).fixed["labels"].dtype


def test_rows_that_were_left_out_are_not_copied() -> None:
    shards = TokenizedShards(Shards())
    copied, is_there = shards.read(np.array([0, 0, 1]), np.array([99, 2, 99]))
    assert copied is not None
    assert copied.rows.tolist() == [2]
    assert is_there.tolist() == [False, True, False]
    copied, is_there = shards.read(np.array([0]), np.array([99]))
    assert copied is None


def test_the_next_window_is_made_meanwhile_and_the_last_one_let_go() -> None:
    made = Shards()
    shards = TokenizedShards(made)
    shards.use([0, 1], [2, 3])
    shards.use([0, 1], [2, 3])  # the same window: nothing is done
    shards.use([1, 2, 3], [4])
    shards.close()
    assert made.prepared[:4] == [0, 1, 2, 3]
    assert made.prepared.count(1) == 1
    assert made.prepared.count(0) == 1


def test_an_error_is_raised_where_its_shard_is_needed() -> None:
    shards = TokenizedShards(Shards())
    shards.use([0], [9])
    shards.use([0], [9])
    with pytest.raises(DataError, match="no such label"):
        shards.use([9], [1])
    shards.close()

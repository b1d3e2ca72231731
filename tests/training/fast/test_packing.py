from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.fast.models import batch_of
from tunesmith.data.batches import IGNORED
from tunesmith.training.fast.packing import (
    has_empty_row,
    in_parts,
    pack_batch,
    pack_tokens,
    repad,
    widened,
)

lengths = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@given(lengths, st.booleans())
def test_unpack_of_pack_is_the_batch(sizes: list[int], left: bool) -> None:
    batch = batch_of(sizes, left=left)
    pack, packed = pack_batch(batch, first_position=2)
    ids = packed.inputs["input_ids"]
    assert ids.shape[1] >= sum(sizes) and ids.shape[1] % 16 == 0
    assert (ids[:, sum(sizes) :] == ids[0, 0]).all()
    again = repad(ids[..., None].float(), pack)[..., 0]
    mask = batch.inputs["attention_mask"]
    assert torch.equal(again.long(), batch.inputs["input_ids"] * mask)
    assert "attention_mask" not in packed.inputs
    for row, (first, last) in enumerate(zip(pack.first.tolist(), pack.last.tolist(), strict=True)):
        assert last - first + 1 == sizes[row]
        positions = packed.inputs["position_ids"][0, first : last + 1]
        assert positions.tolist() == list(range(2, 2 + sizes[row]))
        real = batch.inputs["input_ids"][row][mask[row] == 1]
        assert torch.equal(ids[0, first : last + 1], real)


@given(lengths)
def test_the_longest_come_first_in_groups_that_waste_little(sizes: list[int]) -> None:
    pack, _packed = pack_batch(batch_of(sizes), first_position=0)
    assert sorted(sizes, reverse=True) == pack.lengths.tolist()
    groups = pack.groups
    assert sum(group.count for group in groups) == len(sizes)
    assert [group.start for group in groups[1:]] == [group.stop for group in groups[:-1]]
    for group in groups:
        assert 0 <= group.longest - group.lengths.max() < 8 and group.longest % 8 == 0
        assert group.is_even == (set(group.lengths.tolist()) == {group.longest})


def test_very_different_lengths_are_kept_apart() -> None:
    pack, _packed = pack_batch(batch_of([100, 98, 10, 12, 11]), first_position=0)
    assert [group.longest for group in pack.groups] == [104, 16]


@given(lengths, st.integers(1, 3))
def test_padding_by_head_goes_there_and_back(sizes: list[int], heads: int) -> None:
    pack, _packed = pack_batch(batch_of(sizes), first_position=0)
    for group in pack.groups:
        padded, real = group.by_head(heads, torch.device("cpu"))
        rows = torch.arange((group.stop - group.start) * heads)
        there = rows[padded]
        assert torch.equal(there[real], rows)
        assert group.by_head(heads, torch.device("cpu"))[0] is padded  # computed once
        table = there.view(group.count, heads, group.longest) // heads
        first = 0
        for i, length in enumerate(group.lengths.tolist()):
            expected = np.minimum(np.arange(group.longest), length - 1) + first
            assert (table[i].numpy() == expected).all()
            first += length


@given(lengths, st.booleans())
def test_tokens_of_a_pack_keep_their_row_and_label(sizes: list[int], left: bool) -> None:
    batch = batch_of(sizes, left=left, per_token=True)
    pack, packed = pack_batch(batch, first_position=0)
    packed = pack_tokens(batch, pack, packed)
    mask, total = packed.inputs["attention_mask"], sum(sizes)
    assert mask.shape == packed.inputs["input_ids"].shape
    assert mask[0].tolist() == [1] * total + [0] * (mask.shape[1] - total)
    assert packed.labels is not None and packed.rows is not None and batch.labels is not None
    assert (packed.labels[mask == 0] == IGNORED).all()
    for row, first in enumerate(pack.first.tolist()):
        inside = slice(first, first + sizes[row])
        assert (packed.rows[0, inside] == row).all()
        real = batch.inputs["attention_mask"][row] == 1
        assert torch.equal(packed.labels[0, inside], batch.labels[row][real])
    unlabeled = pack_tokens(replace(batch, labels=None), pack, packed)
    assert unlabeled.labels is None


def test_gradients_pass_through(rows: int = 3) -> None:
    pack, _packed = pack_batch(batch_of([4, 2, 3]), first_position=0)
    hidden = torch.randn(1, 16, rows, requires_grad=True)
    repad(hidden, pack).square().sum().backward()
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad[:, :9], 2 * hidden[:, :9])
    assert not hidden.grad[:, 9:].any()


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("per_token", [False, True])
def test_parts_hold_each_row_once_with_less_padding(left: bool, per_token: bool) -> None:
    batch = batch_of([3, 20, 4, 18, 5, 6, 7, 19, 2], left=left, per_token=per_token)
    parts = in_parts(batch)
    seen = np.concatenate([part.examples for part in parts])
    assert sorted(seen) == list(range(9))
    places = sum(part.inputs["input_ids"].numel() for part in parts)
    assert places < 0.6 * batch.inputs["input_ids"].numel()
    assert sum(part.num_tokens for part in parts) == batch.num_tokens
    for part in parts:
        for i, row in enumerate(part.examples.tolist()):
            mine, whole = part.inputs["attention_mask"][i], batch.inputs["attention_mask"][row]
            assert torch.equal(
                part.inputs["input_ids"][i][mine == 1], batch.inputs["input_ids"][row][whole == 1]
            )
            assert part.labels is not None and batch.labels is not None
            if per_token:
                assert torch.equal(part.labels[i][mine == 1], batch.labels[row][whole == 1])
            else:
                assert part.labels[i] == batch.labels[row]


@pytest.mark.parametrize("left", [False, True])
def test_widening_adds_padding_on_the_right_side(left: bool) -> None:
    batch = batch_of([3, 5], left=left, per_token=True)
    wide = widened(batch, 2, 7)
    new = slice(2) if left else slice(-2, None)
    assert wide.inputs["input_ids"][:, new].tolist() == [[7, 7], [7, 7]]
    assert wide.inputs["attention_mask"].sum() == batch.inputs["attention_mask"].sum()
    assert wide.labels is not None and wide.labels.shape == (2, 7)


@pytest.mark.parametrize("per_token", [False, True])
def test_labels_of_a_row_are_no_labels_of_tokens(per_token: bool) -> None:
    """As many classes as tokens: what they are of is said, not guessed from their shape."""
    batch = batch_of([7, 4, 2, 3], per_token=True)
    if not per_token:
        batch = replace(batch, labels=batch.labels, labels_are="example")
    assert batch.labels is not None
    for part in in_parts(batch):
        assert part.labels is not None
        retained = part.inputs["input_ids"].shape[1] if per_token else 7
        assert torch.equal(part.labels, batch.labels[torch.from_numpy(part.examples)][:, :retained])
    wide = widened(batch, 3, 1).labels
    assert wide is not None and wide.shape[1] == (10 if per_token else 7)


def test_a_row_without_tokens_is_seen() -> None:
    batch = batch_of([4, 3])
    assert not has_empty_row(batch)
    batch.inputs["attention_mask"][1] = 0
    assert has_empty_row(batch)

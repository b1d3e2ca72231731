from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.batches import IGNORED, TARGET, Examples, Padding, by_length, make_batch
from tunesmith.data.encoded import Encoded, Prepared, Ragged, hold_in_memory

PADDING = Padding({"input_ids": 9, "token_type_ids": 0, "labels": IGNORED})


def held(sequences: list[list[int]], labels: np.ndarray | None = None) -> Prepared:
    lengths = np.array([len(s) for s in sequences], dtype=np.int64)
    flat = np.array([n for s in sequences for n in s], dtype=np.uint16)
    rows = np.arange(len(sequences), dtype=np.int64)
    fixed = {} if labels is None else {"labels": labels}
    return hold_in_memory(Encoded({"input_ids": Ragged(flat, lengths)}, fixed, rows, lengths))


sequences = st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=12), min_size=1, max_size=9)


@given(sequences, st.booleans())
def test_padding_hides_nothing_and_adds_nothing(rows: list[list[int]], left: bool) -> None:
    padding = Padding(PADDING.values, left=left)
    batch = make_batch(Examples(held(rows)), np.arange(len(rows)), padding)
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert ids.dtype == mask.dtype == torch.int64
    for i, row in enumerate(rows):
        assert ids[i][mask[i] == 1].tolist() == row
        assert set(ids[i][mask[i] == 0].tolist()) <= {9}
        assert mask[i, -1 if left else 0] == 1
    assert batch.num_tokens == sum(map(len, rows))
    assert batch.labels is None
    assert batch.num_targets == 0


def test_labels_by_kind() -> None:
    rows = [[1], [2, 3], [4]]
    for labels, dtype, count in (
        (np.array([0, 1, 2]), torch.int64, 3),
        (np.array([0, IGNORED, 2]), torch.int64, 2),
        (np.array([0.5, 1.5, 2.5]), torch.float32, 3),
        (np.array([[1, 0], [0, 1], [1, 1]], dtype=np.bool_), torch.float32, 6),
        (np.array([[1, 2], [0, IGNORED], [1, 1]]), torch.int64, 5),
    ):
        batch = make_batch(Examples(held(rows, labels)), np.arange(3), PADDING)
        assert batch.labels is not None
        assert batch.labels.dtype == dtype
        assert batch.num_targets == count
        assert (batch.labels_are, batch.owner) == ("example", None)


def test_labels_per_token_are_filled_with_what_no_loss_counts() -> None:
    lengths = np.array([1, 3], dtype=np.int64)
    ragged = {
        "input_ids": Ragged(np.array([1, 2, 3, 4], np.uint16), lengths),
        "labels": Ragged(np.array([0, 1, IGNORED, 1], np.int64), lengths),
    }
    rows = np.arange(2, dtype=np.int64)
    batch = make_batch(
        Examples(hold_in_memory(Encoded(ragged, {}, rows, lengths))), np.arange(2), PADDING
    )
    assert batch.labels is not None
    assert batch.labels.tolist() == [[0, IGNORED, IGNORED], [1, IGNORED, 1]]
    assert (batch.num_targets, batch.labels_are) == (3, "token")
    assert batch.example_of_labels().tolist() == [[0, 0, 0], [1, 1, 1]]


PARTS = Encoded(
    {"input_ids": Ragged(np.arange(1, 8), np.array([1, 2, 1, 3]))},
    {"labels": np.array([1, 0])},
    np.array([4, 7]),
    np.array([4, 3]),
    parts=np.array([3, 1]),
    aside={"offsets": Ragged(np.arange(6).reshape(3, 2), np.array([1, 2]))},
)
"""Two examples: three sequences of 1, 2 and 1 tokens, and one of three."""


def test_an_example_may_have_several_sequences() -> None:
    examples = Examples(hold_in_memory(PARTS))
    assert examples.lengths.tolist() == [4, 3]  # all of them cost
    assert examples.prepared.sequence("input_ids", 0).tolist() == [1, 2, 3, 4]
    batch = make_batch(examples, np.array([1, 0]), PADDING).to("cpu")
    assert batch.inputs["input_ids"].tolist() == [[5, 6, 7], [1, 9, 9], [2, 3, 9], [4, 9, 9]]
    assert batch.owner is not None and batch.owner.tolist() == [0, 1, 1, 1]
    assert batch.labels is not None and batch.labels.tolist() == [0, 1]
    assert (batch.num_tokens, batch.num_targets, len(batch.examples)) == (7, 2, 2)


def test_what_is_aside_is_not_batched() -> None:
    prepared = hold_in_memory(PARTS)
    assert prepared.names == ("input_ids",)
    assert [each.tolist() for each in prepared.aside("offsets").split()] == [
        [[0, 1]], [[2, 3], [4, 5]]
    ]  # fmt: skip
    assert prepared.aside("offsets", np.array([1])).flat.tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize("left", [False, True])
def test_a_target_may_be_a_sequence(left: bool) -> None:
    """It has a length of its own, costs as its tokens do, and is filled on the right."""
    ragged = {
        "input_ids": Ragged(np.array([1, 2, 3]), np.array([1, 2])),
        TARGET: Ragged(np.array([4, 5, 6, 7]), np.array([3, 1])),
    }
    count = np.arange(2)
    examples = Examples(hold_in_memory(Encoded(ragged, {}, count, count)))
    assert examples.lengths.tolist() == [4, 3]
    batch = make_batch(examples, count, Padding(PADDING.values, left=left))
    assert batch.labels is not None and set(batch.inputs) == {"input_ids", "attention_mask"}
    assert batch.labels.tolist() == [[4, 5, 6], [7, IGNORED, IGNORED]]
    assert (batch.labels_are, batch.num_targets, batch.num_tokens) == ("target", 4, 3)


def test_a_batch_that_only_keeps_step_counts_nothing() -> None:
    batch = make_batch(Examples(held([[1]], np.array([1]))), np.arange(1), PADDING, is_dummy=True)
    assert (batch.num_targets, batch.is_dummy) == (0, True)


def test_a_drawn_share_is_a_view() -> None:
    whole = held([[1], [2, 2], [3, 3, 3]], np.array([0, 1, 2]))
    part = Examples(whole, np.array([2, 0]))
    assert len(part) == 2
    assert part.labels.tolist() == [2, 0]
    assert part.lengths.tolist() == [3, 1]
    assert part.rows.tolist() == [2, 0]
    batch = make_batch(part, np.array([0]), PADDING)
    assert batch.inputs["input_ids"].tolist() == [[3, 3, 3]]
    assert Examples(whole).labels.tolist() == [0, 1, 2]


def test_rows_of_several_examples() -> None:
    whole = Examples(replace(held([[1], [2], [3], [4], [5]]), rows=np.array([0, 2, 2, 5, 5])))
    assert (whole.num_rows, whole.row_numbers.tolist()) == (3, [0, 2, 5])
    assert whole.row_starts.tolist() == [0, 1, 3]
    part = whole.of_rows(np.array([0, 2]))
    assert part.rows.tolist() == [0, 5, 5] and part.num_rows == 2
    assert part.of_rows(np.array([1])).at(np.arange(2)).tolist() == [3, 4]
    assert whole.subset(np.array([4, 0])).rows.tolist() == [5, 0]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 7))
def test_by_length_each_once_the_longest_first(lengths: list[int], size: int) -> None:
    array = np.array(lengths, dtype=np.int64)
    batches = list(by_length(array, size, max_tokens=1))
    places = np.concatenate(batches)
    assert sorted(places) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    assert np.all(np.diff(array[places]) <= 0)


def test_without_a_batch_size_tokens_decide() -> None:
    """As many rows as fit with their padding; a row that is too long by itself goes alone."""
    lengths = np.array([3, 10, 0, 25, 4, 10])
    cut = [batch.tolist() for batch in by_length(lengths, None, max_tokens=20)]
    assert cut == [[3], [1, 5], [4, 0, 2]]
    cut = [batch.tolist() for batch in by_length(lengths, 4, max_tokens=20)]
    assert cut == [[3, 1, 5, 4], [0, 2]]
    cut = [batch.tolist() for batch in by_length(np.zeros(3, dtype=np.int64), None, max_tokens=2)]
    assert cut == [[0, 1], [2]]


def test_padding_as_the_tokenizer_says() -> None:
    class Tokenizer:
        pad_token_id = 3
        pad_token_type_id = 1
        padding_side = "left"

    padding = Padding.of(Tokenizer())
    assert padding.left
    assert padding.values == {"input_ids": 3, "token_type_ids": 1, "labels": IGNORED}


def test_arrays_of_a_batch_are_its_own() -> None:
    examples = Examples(held([[1, 2]]))
    batch = make_batch(examples, np.arange(1), PADDING)
    batch.inputs["input_ids"][0, 0] = 7
    again = make_batch(examples, np.arange(1), PADDING)
    assert again.inputs["input_ids"][0, 0] == 1
    with pytest.raises(KeyError):
        _ = examples.labels

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.fast.models import batch_of
from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.data.encoded import Encoded, Ragged, hold_in_memory
from tunesmith.training.fast.graphs import device_data as module
from tunesmith.training.fast.graphs.buckets import bucket_for, pack_bucket
from tunesmith.training.fast.graphs.device_data import DataSet, Table
from tunesmith.training.fast.packing import pack_batch

CPU = torch.device("cpu")
PADDING = Padding({"input_ids": 1})
sizes_strategy = st.lists(st.integers(1, 20), min_size=1, max_size=12)


def examples_of(sizes: list[int], *, column: str = "token_type_ids") -> Examples:
    lengths = np.array(sizes)
    flat = np.random.default_rng(0).integers(5, 100, lengths.sum()).astype(np.int32)
    ragged = {"input_ids": Ragged(flat, lengths), column: Ragged(flat % 2, lengths)}
    labels = np.arange(len(sizes)) % 3
    rows = np.arange(len(sizes))
    whole = hold_in_memory(Encoded(ragged, {"labels": labels}, rows, lengths))
    return Examples(whole, rows[::-1].copy())


def packed_from(table: Table, rows: torch.Tensor, tokens: int) -> dict[str, torch.Tensor]:
    bucket = bucket_for(tokens, len(rows), 20)
    return table.gathered(pack_bucket(bucket, table.offsets[rows], table.lengths[rows]))


@given(sizes_strategy, st.integers(0, 1000))
def test_gathering_there_is_packing_here(sizes: list[int], seed: int) -> None:
    """From the whole set on the device, and from a batch that was sent: what `pack_batch` gives."""
    examples = examples_of(sizes)
    places = np.random.default_rng(seed).permutation(len(sizes))[: 1 + seed % len(sizes)]
    batch = make_batch(examples, places, PADDING)
    _laid, expected = pack_batch(batch, first_position=0)
    data = DataSet.copied(examples, CPU)
    assert data is not None
    rows = data.longest_first(places)
    result = packed_from(data.table, rows, batch.num_tokens)
    sent = Table.empty(batch, bucket_for(batch.num_tokens, len(places), 20), CPU)
    for _time in range(2):  # the memory is used again
        sent.fill(batch)
    again = packed_from(sent, torch.arange(len(places)), batch.num_tokens)
    for name in ("input_ids", "token_type_ids"):
        real = expected.inputs[name][0, : batch.num_tokens].tolist()
        assert result[name][0, : batch.num_tokens].tolist() == real
        assert again[name][0, : batch.num_tokens].tolist() == real
        assert result[name].dtype == torch.int64 and result[name].shape == again[name].shape
    lengths = examples.lengths[places]
    order = places[np.argsort(-lengths, kind="stable")]
    assert data.table.labels[rows].tolist() == examples.labels[order].tolist()
    assert sent.labels.tolist() == examples.labels[order].tolist()


def test_a_batch_without_tensors_counts_as_one_with_them() -> None:
    examples = examples_of([5, 3, 9])
    data = DataSet.copied(examples, CPU)
    assert data is not None
    places = np.array([2, 0])
    light, batch = data.batch(places), make_batch(examples, places, PADDING)
    assert not light.inputs and light.labels is None
    for name in ("num_targets", "num_tokens", "is_dummy", "labels_are"):
        assert getattr(light, name) == getattr(batch, name)
    assert light.examples.tolist() == batch.examples.tolist()


def test_what_is_large_or_more_than_tokens_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DataSet.copied(examples_of([5, 0, 3]), CPU) is None  # no place in a pack
    assert DataSet.copied(examples_of([5, 3], column="words"), CPU) is None
    monkeypatch.setattr(module, "LARGEST", 8 * 8 + 32 - 1)
    assert DataSet.copied(examples_of([5, 3]), CPU) is None
    monkeypatch.setattr(module, "LARGEST", 8 * 8 + 32)
    assert DataSet.copied(examples_of([5, 3]), CPU) is not None


def test_left_padding_is_left_behind() -> None:
    batch: Batch = batch_of([4, 9, 2], left=True)
    table = Table.empty(batch, bucket_for(batch.num_tokens, 3, 20), CPU)
    table.fill(batch)
    ids = packed_from(table, torch.arange(3), 15)["input_ids"][0]
    assert ids[:9].tolist() == batch.inputs["input_ids"][1].tolist()
    assert ids[9:13].tolist() == batch.inputs["input_ids"][0, -4:].tolist()

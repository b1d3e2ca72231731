from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, default_data_collator

from tunesmith.interop.trainer.arrow_batches import ArrowBatches
from tunesmith.interop.trainer.datasets import Rows

LENGTHS = (5, 2, 9, 1, 7, 3)


def rows(**more: list[Any]) -> dict[str, list[Any]]:
    return {
        "input_ids": [list(range(5, 5 + n)) for n in LENGTHS],
        "token_type_ids": [[0] * (n // 2) + [1] * (n - n // 2) for n in LENGTHS],
        "attention_mask": [[1] * n for n in LENGTHS],
        "label": [0, 1, 1, 0, 2, 1],
        **more,
    }


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "label", [[0, 1, 1, 0, 2, 1], [0.5, -1.0, 3.25, 0.1, 2.0, 1e-9]], ids=["classes", "numbers"]
)
def test_they_are_those_of_the_collator(
    tokenizer: Any, side: str, label: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order, also of rows that were chosen from more."""
    monkeypatch.setattr(tokenizer, "padding_side", side)
    collate = DataCollatorWithPadding(tokenizer)
    whole = Dataset.from_dict(rows(label=label))
    for data in (
        whole,
        whole.shuffle(seed=3).select(range(5)),
        whole.rename_column("label", "labels"),
    ):
        batches = ArrowBatches.of(data, collate)
        assert batches is not None
        for places in ([0], [3, 1], [4, 2, 0, 1, 3], [2, 2]):
            expected = collate([data[place] for place in places])
            made = batches.tensors(places)
            assert made is not None and made.keys() == expected.keys()
            for name, tensor in made.items():
                assert tensor.dtype == expected[name].dtype
                assert torch.equal(tensor, expected[name])


def test_what_is_unusual_is_left_to_the_collator(tokenizer: Any) -> None:
    plain = DataCollatorWithPadding(tokenizer)
    data = Dataset.from_dict(rows())

    class Own(Dataset):  # type: ignore[misc]
        def __getitems__(self, keys: list[int]) -> Any:
            return super().__getitems__(keys)

    own = Dataset.from_dict(rows())
    own.__class__ = Own
    for other in (
        data.with_format("torch"), data.with_format(None, columns=["input_ids"]),
        data.with_transform(dict), data.remove_columns("attention_mask"),
        data.add_column("more", [1] * 6), data.add_column("labels", [1] * 6), own,
        Dataset.from_dict(rows(label=["a"] * 6)), Dataset.from_dict(rows(label=[None] * 6)),
        Dataset.from_dict(rows(token_type_ids=[[0.5]] * 6)), list(data),
    ):  # fmt: skip
        assert ArrowBatches.of(other, plain) is None
    for collate in (
        default_data_collator,
        DataCollatorWithPadding(tokenizer, padding="max_length", max_length=9),
        DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        DataCollatorWithPadding(tokenizer, return_tensors="np"),
    ):
        assert ArrowBatches.of(data, collate) is None


def test_what_shows_only_in_a_batch_is_left_to_it_too(tokenizer: Any) -> None:
    collate = DataCollatorWithPadding(tokenizer)
    masks = [[1] * n for n in LENGTHS]
    ragged = ArrowBatches.of(Dataset.from_dict(rows(attention_mask=[[1], *masks[1:]])), collate)
    gaps = ArrowBatches.of(
        Dataset.from_dict(rows(input_ids=[[None] * n for n in LENGTHS])), collate
    )
    assert ragged is not None and ragged.tensors([0, 1]) is None
    assert gaps is None or gaps.tensors([0, 1]) is None
    plain = ArrowBatches.of(Dataset.from_dict(rows()), collate)
    assert plain is not None and plain.tensors([0]) is not None
    collate.pad_to_multiple_of = 8  # a script may change it later
    assert plain.tensors([0]) is None


def test_the_first_batch_is_compared(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer whose own `pad` looks like the usual one, and is another."""
    collated: list[Any] = []
    data = Dataset.from_dict(rows())

    def made(fill: int) -> list[torch.Tensor]:
        collate = DataCollatorWithPadding(tokenizer)
        monkeypatch.setattr(
            type(collate), "__call__",
            lambda _self, features: collated.append(1) or {
                name: tensor if fill == 0 else tensor + fill
                for name, tensor in original(collate, features).items()
            },
        )  # fmt: skip
        result = Rows(data, "train", collate=collate, columns=None)
        return [result.batch(np.array(p), seed=0).inputs["input_ids"] for p in ([0, 1], [2, 3])]

    original = DataCollatorWithPadding.__call__
    same = made(0)
    assert len(collated) == 1, "the second batch comes from Arrow"
    other = made(1)
    assert len(collated) == 3, "which gave something else, so that each is collated"
    assert [torch.equal(a + 1, b) for a, b in zip(same, other, strict=True)] == [True, True]

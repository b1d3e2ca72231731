from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import DataCollatorForLanguageModeling, DataCollatorWithPadding
from transformers.data.data_collator import default_data_collator

from tunesmith.batching import IGNORED
from tunesmith.errors import DataError, RecipeError
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.rows import DataSets, Rows, collator_for, each, is_plain

COLUMNS = frozenset({"input_ids", "attention_mask", "token_type_ids", "label", "labels"})


def rows_of(data: Any, collate: Any, **more: Any) -> Rows:
    return Rows(data, "train", collate=collate, columns=COLUMNS, **more)


def test_a_batch_is_what_the_collator_makes(pairs: Any, tokenizer: Any) -> None:
    collate = DataCollatorWithPadding(tokenizer)
    places = [5, 0, 7]
    batch = rows_of(pairs["train"], collate).batch(np.array(places), seed=0)
    kept = pairs["train"].remove_columns(["sentence1", "sentence2"])
    expected = collate([kept[place] for place in places])
    assert torch.equal(batch.labels, expected.pop("labels"))
    for name, tensor in expected.items():
        assert torch.equal(batch.inputs[name], tensor)
    assert batch.tokens == int(expected["attention_mask"].sum())
    assert (batch.num_targets, batch.examples.tolist()) == (3, places)
    assert (
        rows_of(pairs["train"], collate).batch(np.arange(2), seed=0, counts=False).counts is False
    )


@given(count=st.integers(1, 9), size=st.integers(1, 4))
def test_all_rows_come_once_and_in_order(count: int, size: int) -> None:
    data = [{"input_ids": [i, i], "labels": i} for i in range(count)]
    batches = list(rows_of(data, default_data_collator).in_order(size))
    assert [i for batch in batches for i in batch.examples.tolist()] == list(range(count))
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(count))


def test_columns_that_no_model_takes_are_told(pairs: Any, tokenizer: Any, told: Any) -> None:
    rows_of(pairs["train"], DataCollatorWithPadding(tokenizer))
    assert told() == [
        "train data: columns that the model does not take are left out: sentence1, sentence2"
    ]


def test_rows_that_are_no_arrow_table(told: Any) -> None:
    data = [{"input_ids": [1, 2], "labels": 0, "extra": "x"}]
    rows = rows_of(data, default_data_collator)
    assert set(rows.batch(np.array([0]), seed=0).inputs) == {"input_ids"}
    assert rows.token_ids is None and "extra" in told()[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (iter([]), "has no length"),
        ([], "has no rows"),
        (Dataset.from_dict({"text": ["a"]}), "no column is one that the model takes; found: text"),
    ],
)
def test_data_that_cannot_be_used(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=f"R133 train: .*{words}"):
        rows_of(data, default_data_collator)


def test_token_ids_are_those_that_occur(pairs: Any, tokenizer: Any) -> None:
    some = pairs["train"].select([3, 1])
    rows = rows_of(some, DataCollatorWithPadding(tokenizer))
    occurring = {i for ids in some["input_ids"] for i in ids}
    assert rows.token_ids is not None and occurring <= rows.token_ids
    made = pairs["train"].with_transform(lambda batch: batch)
    assert Rows(made, "train", collate=dict, columns=None).token_ids is None


def test_targets_of_a_decoder_begin_at_the_second_token() -> None:
    data = [{"input_ids": [1, 2, 3], "labels": [1, 2, IGNORED]}]
    plain = rows_of(data, default_data_collator).batch(np.array([0]), seed=0)
    shifted = rows_of(data, default_data_collator, shifts=True).batch(np.array([0]), seed=0)
    assert (plain.num_targets, shifted.num_targets) == (2, 1)


def test_what_a_collator_draws_hangs_on_the_seed(pairs: Any, tokenizer: Any) -> None:
    collate = DataCollatorForLanguageModeling(tokenizer)
    rows = rows_of(pairs["train"].remove_columns("label"), collate)

    def drawn(seed: int) -> list[Any]:
        return rows.batch(np.arange(8), seed=seed).inputs["input_ids"].tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_collators(tokenizer: Any) -> None:
    assert collator_for(None) is default_data_collator
    assert type(collator_for(tokenizer)) is DataCollatorWithPadding
    assert is_plain(collator_for(tokenizer)) and is_plain(default_data_collator)
    assert not is_plain(lambda rows: rows)
    assert not is_plain(DataCollatorForLanguageModeling(tokenizer))


def test_data_sets_are_looked_at_once(
    pairs: Any, tokenizer: Any, make_model: Callable[..., Any], told: Any
) -> None:
    data = DataSets(make_model(), TrainingArguments("out"), DataCollatorWithPadding(tokenizer))
    assert data.label_names == ("labels",)
    assert data.rows(pairs["train"], "train") is data.rows(pairs["train"], "train")
    assert len(told()) == 1
    with pytest.raises(RecipeError, match=r"R135.*there is no eval_dataset"):
        data.rows(None, "evaluation")


def test_of_other_data_sets_the_latest_is_kept(
    pairs: Any, tokenizer: Any, make_model: Callable[..., Any]
) -> None:
    train, parts = pairs["train"], {"a": pairs["validation"], "b": pairs["validation"].select([1])}
    data = DataSets(
        make_model(), TrainingArguments("out"), DataCollatorWithPadding(tokenizer),
        own=lambda: (train, *each(parts)),
    )  # fmt: skip
    own = [data.rows(train, "train"), *(data.rows(part, "evaluation") for part in each(parts))]
    others = [train.select([i]) for i in range(3)]
    found = [data.rows(other, "test") for other in others]
    assert data.rows(others[2], "test") is found[2]
    assert data.rows(others[0], "test") is not found[0]
    assert data.rows(train, "train") is own[0]
    assert [data.rows(part, "evaluation") for part in each(parts)] == own[1:]


def test_several_data_sets_or_one() -> None:
    assert each(None) == [] and each("one") == ["one"] and each({"a": 1, "b": 2}) == [1, 2]


def test_a_loader_shows_the_same_batches(pairs: Any, tokenizer: Any) -> None:
    rows = rows_of(pairs["train"], DataCollatorWithPadding(tokenizer))
    first = next(iter(rows.loader([4, 2, 0], 2)))
    assert torch.equal(first["input_ids"], rows.batch(np.array([4, 2]), seed=0).inputs["input_ids"])

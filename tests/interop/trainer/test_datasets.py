from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import DataCollatorForLanguageModeling, DataCollatorWithPadding
from transformers.data.data_collator import default_data_collator

from tunesmith.data.batches import IGNORED
from tunesmith.errors import DataError, RecipeError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.datasets import DataSets, Rows, each, is_plain, is_stream

COLUMNS = frozenset({"input_ids", "attention_mask", "token_type_ids", "label", "labels"})


def rows_of(data: Any, collate: Any, **more: Any) -> Rows:
    return Rows(data, "train", collate=collate, columns=COLUMNS, **more)


def owner_of(model: Any, tokenizer: Any, **more: Any) -> Any:
    """A Trainer as far as its rows follow from it."""
    return SimpleNamespace(**{
        "model": model, "args": TrainingArguments("out"), "label_names": ["labels"],
        "data_collator": DataCollatorWithPadding(tokenizer), "processing_class": tokenizer,
        "train_dataset": None, "eval_dataset": None, **more,
    })  # fmt: skip


def test_a_batch_is_what_the_collator_makes(pairs: Any, tokenizer: Any) -> None:
    collate = DataCollatorWithPadding(tokenizer)
    places = [5, 0, 7]
    batch = rows_of(pairs["train"], collate).batch(np.array(places), seed=0)
    model_columns = pairs["train"].remove_columns(["sentence1", "sentence2"])
    expected = collate([model_columns[place] for place in places])
    assert torch.equal(batch.labels, expected.pop("labels"))
    for name, tensor in expected.items():
        assert torch.equal(batch.inputs[name], tensor)
    assert batch.num_tokens == int(expected["attention_mask"].sum())
    assert (batch.num_targets, batch.examples.tolist()) == (3, places)
    assert rows_of(pairs["train"], collate).batch(np.arange(2), seed=0, is_dummy=True).is_dummy


@given(count=st.integers(1, 9), size=st.integers(1, 4))
def test_all_rows_come_once_and_in_order(count: int, size: int) -> None:
    data = [{"input_ids": [i, i], "labels": i} for i in range(count)]
    batches = list(rows_of(data, default_data_collator).in_order(size))
    assert [i for batch in batches for i in batch.examples.tolist()] == list(range(count))
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(count))


def test_columns_that_no_model_takes_are_reported(pairs: Any, tokenizer: Any, logged: Any) -> None:
    rows_of(pairs["train"], DataCollatorWithPadding(tokenizer))
    assert logged() == [
        "train data: columns that the model does not take are left out: sentence1, sentence2"
    ]


def test_rows_that_are_no_arrow_table(logged: Any) -> None:
    data = [{"input_ids": [1, 2], "labels": 0, "extra": 5}]
    rows = rows_of(data, default_data_collator)
    assert set(rows.batch(np.array([0]), seed=0).inputs) == {"input_ids"}
    assert rows.token_ids is None and "extra" in logged()[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (iter([]), "has no length"),
        ([], "has no rows"),
        (Dataset.from_dict({"text": ["a"]}), "no column is one that the model takes; found: text"),
    ],
)
def test_data_that_cannot_be_used(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=f"R133 train: .*{words}") as caught:
        rows_of(data, default_data_collator)
    assert isinstance(caught.value, ValueError)


def test_token_ids_are_those_that_occur(pairs: Any, tokenizer: Any) -> None:
    some = pairs["train"].select([3, 1])
    rows = rows_of(some, DataCollatorWithPadding(tokenizer))
    occurring = {i for ids in some["input_ids"] for i in ids}
    assert rows.token_ids is not None and occurring <= rows.token_ids
    made = pairs["train"].with_transform(lambda batch: batch)
    assert Rows(made, "train", collate=dict, columns=None).token_ids is None


@pytest.mark.parametrize(
    ("columns", "pad_id", "tokens"),
    [
        ({"input_ids": [5, 6, 0], "attention_mask": [1, 1, 0]}, None, 2),
        ({"input_ids": [5, 6, 0], "attention_mask": [1, 1, 1]}, 0, 3),
        ({"input_ids": [5, 6, 0]}, 0, 2),
        ({"input_ids": [5, 6, 0]}, None, 3),
        ({"inputs_embeds": [1.0, 2.0]}, 0, 0),
    ],
)
def test_what_is_no_padding_is_counted(columns: Any, pad_id: int | None, tokens: int) -> None:
    """By the mask, else by the padding token, else everything; nothing without token ids."""
    rows = Rows(
        [{**columns, "labels": 0}], "train",
        collate=default_data_collator, columns=None, pad_id=pad_id,
    )  # fmt: skip
    batch = rows.batch(np.array([0]), seed=0)
    assert batch.num_tokens == tokens
    assert rows.size_of(batch) == (3 if "input_ids" in columns else 0)
    shown = Rows([columns], "train", collate=default_data_collator, columns=None,
                 main_input=next(iter(columns)))  # fmt: skip
    assert shown.size_of(shown.batch(np.array([0]), seed=0)) == len(next(iter(columns.values())))


def test_targets_of_a_decoder_begin_at_the_second_token() -> None:
    data = [{"input_ids": [1, 2, 3], "labels": [1, 2, IGNORED]}]
    plain = rows_of(data, default_data_collator).batch(np.array([0]), seed=0)
    shifted = rows_of(data, default_data_collator, shifts=True).batch(np.array([0]), seed=0)
    assert (plain.num_targets, shifted.num_targets) == (2, 1)


def test_what_a_collator_draws_depends_on_the_seed(pairs: Any, tokenizer: Any) -> None:
    collate = DataCollatorForLanguageModeling(tokenizer)
    rows = rows_of(pairs["train"].remove_columns("label"), collate)

    def drawn(seed: int) -> list[Any]:
        return rows.batch(np.arange(8), seed=seed).inputs["input_ids"].tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_collators(tokenizer: Any) -> None:
    assert is_plain(DataCollatorWithPadding(tokenizer)) and is_plain(default_data_collator)
    assert not is_plain(lambda rows: rows)
    assert not is_plain(DataCollatorForLanguageModeling(tokenizer))


def test_data_sets_are_looked_at_once(
    pairs: Any, tokenizer: Any, make_model: Callable[..., Any], logged: Any
) -> None:
    owner = owner_of(make_model(), tokenizer)
    data = DataSets(owner)
    first = data.rows(pairs["train"], "train")
    assert data.rows(pairs["train"], "train") is first
    assert len(logged()) == 1
    owner.data_collator = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=64)
    later = data.rows(pairs["train"], "train")
    assert later is not first  # a collator that a script sets afterwards counts
    assert later.batch(np.arange(2), seed=0).inputs["input_ids"].shape == (2, 64)
    with pytest.raises(RecipeError, match=r"R135.*there is no eval_dataset"):
        data.rows(None, "evaluation")


def test_of_other_data_sets_the_latest_is_kept(
    pairs: Any, tokenizer: Any, make_model: Callable[..., Any]
) -> None:
    train, parts = pairs["train"], {"a": pairs["validation"], "b": pairs["validation"].select([1])}
    data = DataSets(owner_of(make_model(), tokenizer, train_dataset=train, eval_dataset=parts))
    own = [data.rows(train, "train"), *(data.rows(part, "evaluation") for part in each(parts))]
    others = [train.select([i]) for i in range(3)]
    prepared = [data.rows(other, "test") for other in others]
    assert data.rows(others[2], "test") is prepared[2]
    assert data.rows(others[0], "test") is not prepared[0]
    assert data.rows(train, "train") is own[0]
    assert [data.rows(part, "evaluation") for part in each(parts)] == own[1:]


def test_streams_have_no_places() -> None:
    class WithLength(torch.utils.data.IterableDataset[int]):
        def __iter__(self) -> Any:
            return iter(())

        def __len__(self) -> int:
            return 3

    assert [is_stream(data) for data in ([1], iter([1]), WithLength())] == [False, True, True]


def test_several_data_sets_or_one() -> None:
    assert each(None) == [] and each("one") == ["one"] and each({"a": 1, "b": 2}) == [1, 2]


@pytest.mark.parametrize("column", ["label", "labels"])
def test_labels_that_are_words(column: str, tokenizer: Any) -> None:
    rows = Dataset.from_list([{"input_ids": [2, 3], column: word} for word in ("order", "repair")])
    with pytest.raises(DataError, match=rf'R158 train\.{column}: .*"order"') as caught:
        rows_of(rows, DataCollatorWithPadding(tokenizer))
    assert f'dataset.class_encode_column("{column}")' in str(caught.value.problems[0].fix)
    encoded = rows.class_encode_column(column)
    assert len(rows_of(encoded, DataCollatorWithPadding(tokenizer))) == 2


def test_words_are_a_matter_of_an_own_collator() -> None:
    rows = [{"input_ids": [2, 3], "label": "order"}]
    assert len(rows_of(rows, lambda rows: {"n": torch.tensor([len(rows)])})) == 1

"""Data and models for code written with datasets and transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict

from tunesmith.data.sources import open_splits
from tunesmith.errors import DataError, ModelError
from tunesmith.handover import load_dataset, model_folder


def test_an_embedded_set_has_the_shape_of_mrpc() -> None:
    raw = load_dataset("embedded:pairs")
    assert {name: len(split) for name, split in raw.items()} == {
        "train": 3668,
        "validation": 408,
        "test": 1725,
    }
    assert raw["train"].column_names == ["sentence1", "sentence2", "label", "idx"]
    assert raw["train"].features["label"] == ClassLabel(names=["not_equivalent", "equivalent"])
    assert isinstance(raw["train"][0]["label"], int)


@pytest.mark.parametrize("name", ["embedded:tickets", "embedded:ratings", "embedded:entities"])
def test_rows_are_those_of_the_source(name: str) -> None:
    raw, splits = load_dataset(name), open_splits(name)
    for split, source in splits.items():
        rows = [row.values for chunk in source.chunks() for row in chunk]
        assert len(raw[split]) == len(rows)
        features = raw[split].features
        for column in source.columns:
            feature, wanted = features[column.name], rows[0][column.name]
            found = raw[split][0][column.name]
            if column.class_names is not None and column.type == "list":
                found = feature.feature.int2str(found)
            elif isinstance(feature, ClassLabel):
                found = feature.int2str(found)
            assert found == wanted


def test_a_file_and_one_split(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,label\nNA,1e5\n你好,b\n", encoding="utf-8")
    train = load_dataset(str(path), split="train")
    assert isinstance(train, Dataset)
    assert train[:] == {"text": ["NA", "你好"], "label": ["1e5", "b"]}


def test_what_datasets_saved_comes_back(tmp_path: Path) -> None:
    saved = DatasetDict({"train": Dataset.from_dict({"text": ["a", "b"]})})
    saved.save_to_disk(str(tmp_path / "saved"))
    again = load_dataset(str(tmp_path / "saved"))
    assert again["train"][:] == saved["train"][:]


def test_a_wrong_split_names_the_right_ones() -> None:
    with pytest.raises(DataError, match="D307") as error:
        load_dataset("embedded:pairs", split="vallidation")
    assert '"validation"' in str(error.value.problems[0].fix)


def test_a_model_folder_loads_without_us() -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = model_folder("embedded:mini")
    ids = AutoTokenizer.from_pretrained(folder)("hot soup", "汤")["input_ids"]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    assert max(ids) < model.config.vocab_size
    with pytest.raises(ModelError, match="M107"):
        model_folder("embedded:minni")

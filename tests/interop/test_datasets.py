"""Data and models for code written with datasets and transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict

from tunesmith.data.open import open_splits
from tunesmith.errors import DataError, ModelError, TunesmithError
from tunesmith.interop.datasets import load_dataset, model_folder


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
            feature, expected = features[column.name], rows[0][column.name]
            loaded = raw[split][0][column.name]
            if column.class_names is not None and column.type == "tags":
                loaded = feature.feature.int2str(loaded)
            elif isinstance(feature, ClassLabel):
                loaded = feature.int2str(loaded)
            assert loaded == expected


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


@pytest.fixture
def tickets_file(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    rows = [f"{i},text {i},{['order', 'repair'][i % 2]}" for i in range(20)]
    path.write_text("id,body,queue\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_labels_become_integers_with_names(tickets_file: Path) -> None:
    for path in (tickets_file, str(tickets_file)):
        raw = load_dataset(path, labels=["repair", "order"])
        assert raw["train"].features["queue"] == ClassLabel(names=["repair", "order"])
        assert raw["train"]["queue"][:3] == [1, 0, 1]
        assert raw["train"].features["id"].dtype == "string"
    train = load_dataset(tickets_file, labels=["order", "repair"], label="queue", split="train")
    assert train["queue"][:2] == [0, 1]


def test_the_next_steps_of_the_course(tickets_file: Path, tiny_bert: Path) -> None:
    """Tokenize, remove columns, rename, set the format, load, and step through the model."""
    import torch
    from torch.utils.data import DataLoader
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
    )

    raw = load_dataset("csv", data_files=str(tickets_file), labels=["order", "repair"])
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokens = raw.map(lambda rows: tokenizer(rows["body"], truncation=True), batched=True)
    tokens = tokens.remove_columns(["body", "id"]).rename_column("queue", "labels")
    tokens.set_format("torch")
    loader = DataLoader(
        tokens["train"], batch_size=4, collate_fn=DataCollatorWithPadding(tokenizer)
    )
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2)
    batch = next(iter(loader))
    assert batch["labels"].dtype == torch.int64
    assert model(**batch).loss.isfinite()


def test_integers_and_lists_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": null}\n')
    train = load_dataset(path, labels=["no", "yes"], split="train")
    assert train["label"][:] == [1, None]
    assert train.features["label"] == ClassLabel(names=["no", "yes"])
    path.write_text('{"text": "a", "tags": ["x", "y"]}\n{"text": "b", "tags": []}\n')
    train = load_dataset(path, labels=["y", "x"], label="tags", split="train")
    assert train["tags"][:] == [[1, 0], []]
    assert train.features["tags"].feature == ClassLabel(names=["y", "x"])


@pytest.mark.parametrize(
    ("how", "code", "fix"),
    [
        ({"labels": ["order", "repairs"]}, "D206", 'did you mean "repairs"?'),
        ({"labels": ["order", "repair"], "label": "queu"}, "R157", 'did you mean "queue"?'),
        ({"labels": ["a"], "label": "xyzzy"}, "R157", 'Name it: label="id", "body", "queue".'),
    ],
)
def test_labels_that_do_not_fit(
    how: dict[str, object], code: str, fix: str, tickets_file: Path
) -> None:
    with pytest.raises(TunesmithError) as caught:
        load_dataset(tickets_file, **how)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.code == code
    assert fix in str(problem.fix)
    if code == "D206":
        assert str(problem.place) == f"{tickets_file}:3"
        assert problem.message == 'queue has labels that are not among those named: "repair"'


def test_a_label_column_that_cannot_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"long text number {i},word {i} again\n" for i in range(40)))
    with pytest.raises(TunesmithError, match=r"R157.*looks like labels"):
        load_dataset(path, labels=["x"])


def test_data_files_as_datasets_takes_them(
    tickets_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tickets_file.parent
    (folder / "more.csv").write_text("id,body,queue\n99,last,order\n")
    monkeypatch.chdir(folder)
    one = load_dataset("csv", data_files="tickets.csv")
    assert one.num_rows == {"train": 20}
    both = load_dataset(
        "csv", data_files={"train": ["tickets.csv", "more.csv"], "test": "more.csv"}
    )
    assert both.num_rows == {"train": 21, "test": 1}
    assert both["train"]["body"][20] == "last"
    monkeypatch.chdir(folder.parent)
    assert load_dataset(folder, data_files="*.csv").num_rows == {"train": 21}
    assert load_dataset(str(folder), data_files={"dev": "more.csv"}, split="dev").num_rows == 1
    monkeypatch.chdir(folder)
    for files in ("none*.csv", "none.csv"):
        with pytest.raises(DataError, match="D105 none"):
            load_dataset("csv", data_files=files)
    with pytest.raises(TunesmithError, match="R156 glue") as caught:
        load_dataset("glue", data_files="more.csv")
    assert caught.value.problems[0].fix == "Give the files alone: load_dataset('more.csv')."


def test_how_text_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("gut;ä\nschlecht;b\n".encode("latin-1"))
    train = load_dataset(
        "csv", data_files=path, delimiter=";", encoding="latin-1", column_names=["t", "l"],
        split="train",
    )  # fmt: skip
    assert train[:] == {"t": ["gut", "schlecht"], "l": ["ä", "b"]}


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("train[:3]", ["0", "1", "2"]),
        ("train[90%:]", ["18", "19"]),
        ("train[18:99]", ["18", "19"]),
        ("train[-1:]+test", ["19", "99"]),
        ("test+train[:1]", ["99", "0"]),
    ],
)
def test_parts_of_splits(split: str, ids: list[str], tickets_file: Path) -> None:
    more = tickets_file.parent / "more.csv"
    more.write_text("id,body,queue\n99,last,order\n")
    files = {"train": tickets_file, "test": more, "other": more}
    assert load_dataset("csv", data_files=files, split=split)["id"][:] == ids


@pytest.mark.parametrize("split", ["trian[:3]", "train[a:b]", "train[", "train[:3]+tset", ""])
def test_parts_that_are_none(split: str, tickets_file: Path) -> None:
    with pytest.raises(DataError, match="D307") as caught:
        load_dataset(tickets_file, split=split)
    assert "train" in str(caught.value.problems[0].fix)


def test_named_labels_of_a_set_that_has_its_own() -> None:
    raw = load_dataset(
        "embedded:pairs", split="test[:5]", label="label", labels=["equivalent", "not_equivalent"]
    )
    plain = load_dataset("embedded:pairs", split="test[:5]")
    assert raw.features["label"].names == ["equivalent", "not_equivalent"]
    assert [raw.features["label"].int2str(n) for n in raw["label"]] == [
        plain.features["label"].int2str(n) for n in plain["label"]
    ]


def test_answers_are_as_in_squad_on_the_hub(tmp_path: Path) -> None:
    question = {"id": "1", "question": "Where?", "answers": [{"text": "Rome", "answer_start": 3}]}
    paragraph = {"context": "In Rome", "qas": [question, {**question, "answers": []}]}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    rows = load_dataset(str(path), split="train")
    assert rows["answers"][:] == [
        {"text": ["Rome"], "answer_start": [3]},
        {"text": [], "answer_start": []},
    ]

"""Lists of words with a tag each, whatever their columns are called and how they are written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tunesmith.data.open import from_python
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Column, Source
from tunesmith.data.shapes import canonical

WORDS, TAGS = ["Ann", "runs"], ["B-PER", "O"]


def one(values: Mapping[str, object]) -> Source:
    return from_python([values])["train"]


def types(source: Source) -> dict[str, str]:
    return {column.name: column.type for column in source.columns}


def first(source: Source) -> Mapping[str, object]:
    return next(iter(source.chunks()))[0].values


@pytest.mark.parametrize(
    ("record", "words", "tags"),
    [
        ({"tokens": WORDS, "ner_tags": TAGS, "id": "0"}, "tokens", "ner_tags"),
        ({"words": WORDS, "pos_tags": ["NNP", "VBZ"]}, "words", "pos_tags"),
        ({"tokens": WORDS, "tags": TAGS, "language": "en"}, "tokens", "tags"),
        ({"tokens": "Ann runs", "tags": "B-PER O"}, "tokens", "tags"),
        ({"tokens": "['Ann', 'runs']", "tags": "['B-PER', 'O']"}, "tokens", "tags"),
        ({"sentence": "Ann runs", "word_labels": "B-PER,O"}, "sentence", "word_labels"),
        ({"tokens": "['Ann' \"runs\"]", "tags": "['B-PER'\n 'O']"}, "tokens", "tags"),
        ({"词": WORDS, "标签": TAGS}, "词", "标签"),
        ({"tokens": WORDS, "pos_tags": [1, 2], "ner_tags": TAGS}, "tokens", "ner_tags"),
    ],
)
def test_lists_are_recognized(record: Mapping[str, object], words: str, tags: str) -> None:
    source = one(record)
    assert types(source)[words] == "tokens"
    assert types(source)[tags] == "tags"
    assert first(source)[words] == WORDS
    assert isinstance(first(source)[tags], list)


@pytest.mark.parametrize(
    "record",
    [
        {"text": "Ann runs", "labels": ["sport", "people"]},
        {"text": "Ann runs", "label": "sport people"},
        {"text": "Ann", "label": "B-PER"},
        {"text": WORDS, "id": 1},
        {"tokens": WORDS, "tags": ["sport"]},
    ],
)
def test_other_rows_stay_as_they_are(record: Mapping[str, object]) -> None:
    assert isinstance(one(record), Memory)


@pytest.mark.parametrize(
    "records",
    [
        [{"tokens": WORDS, "tags": ["B-PER"]}] * 3,  # all of them misaligned
        [{"tokens": [WORDS], "tags": [TAGS]}] * 3,
        [{"tokens": WORDS, "tags": [1.0, 0.0]}] * 3,
        [{"tokens": WORDS, "tags": TAGS}, {"tokens": WORDS, "tags": [None, "O"]}],
        [{"tokens": WORDS, "tags": TAGS}, {"tokens": [WORDS], "tags": [TAGS]}],
    ],
)
def test_what_is_wrong_with_a_row_is_not_another_format(records: list[dict[str, object]]) -> None:
    assert types(from_python(records)["train"])["tags"] == "tags"


def test_numbers_get_their_names() -> None:
    columns = (Column("tokens", "list"), Column("ner_tags", "list", ("O", "B-PER")))
    records = [{"tokens": WORDS, "ner_tags": [1, 0]}, {"tokens": WORDS, "ner_tags": [1, 7]}]
    source = canonical(Memory(records, "data", columns))
    assert first(source)["ner_tags"] == TAGS
    with pytest.raises(BadRecordsError, match="holds 7; its names are numbered 0 to 1"):
        list(source.chunks())


def test_what_does_not_fit_stays_for_the_task() -> None:
    good = {"tokens": WORDS, "tags": TAGS}
    source = from_python([good, {"tokens": None, "tags": TAGS}, {"tokens": WORDS}])["train"]
    rows = [row.values for chunk in source.chunks() for row in chunk]
    assert rows[1] == {"tokens": None, "tags": TAGS}
    assert rows[2] == {"tokens": WORDS, "tags": None}

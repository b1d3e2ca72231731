"""Tables with one word per row become rows of sentences, each at the place of its first word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.open import from_python, open_source
from tunesmith.data.profile import profile
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.data.shapes.word_rows import Sentences
from tunesmith.recipe import DataSettings
from tunesmith.tasks import match_task

KAGGLE = """\
Sentence #,Word,POS,Tag
Sentence: 1,Thousands,NNS,O
,of,IN,O
,London,NNP,B-geo
Sentence: 2,Ann,NNP,B-per
,Lee,NNP,I-per
Sentence: 3,Yes,UH,O
"""


def rows_of(source: Source) -> list[dict[str, Any]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


@pytest.fixture
def kaggle(tmp_path: Path) -> Source:
    (tmp_path / "ner.csv").write_text(KAGGLE)
    return open_source(str(tmp_path / "ner.csv"))


def test_the_table_of_kaggle(kaggle: Source) -> None:
    assert isinstance(kaggle, Sentences)
    assert rows_of(kaggle) == [
        {"Sentence #": "Sentence: 1", "Word": ["Thousands", "of", "London"],
         "Tag": ["O", "O", "B-geo"]},
        {"Sentence #": "Sentence: 2", "Word": ["Ann", "Lee"], "Tag": ["B-per", "I-per"]},
        {"Sentence #": "Sentence: 3", "Word": ["Yes"], "Tag": ["O"]},
    ]  # fmt: skip
    assert kaggle.notes[-1].endswith('rows are words; those of one "Sentence #" are one text')
    task, match = match_task(profile(kaggle), DataSettings(train="x"))
    assert task.name == "token-classification"
    assert (match.roles.text, match.roles.label) == ("Word", "Tag")


def test_places_are_those_of_the_first_words(kaggle: Source) -> None:
    places = kaggle.places([0, 1, 2])
    assert [places[i].line for i in range(3)] == [2, 5, 7]
    assert kaggle.originals([1]) == {1: 3} and kaggle.originals([]) == {}
    (chunk,) = kaggle.chunks(("Tag",))
    assert [dict(row.values) for row in chunk][1] == {"Tag": ["B-per", "I-per"]}
    assert [row.index for row in chunk] == [0, 1, 2]


def test_a_sentence_named_in_each_row_and_numbers_as_words() -> None:
    records = [
        {"sentence_id": i // 2, "word": 1973 if i % 2 else "in", "ner": "I-DATE" if i % 2 else "O"}
        for i in range(6)
    ]
    source = from_python(records)["train"]
    assert [row["word"] for row in rows_of(source)] == [["in", "1973"]] * 3


def test_many_sentences_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.data.shapes.word_rows._AT_ONCE", 2)
    records = [{"sid": f"s{i // 3}", "token": f"w{i}", "tag": "B-A"} for i in range(15)]
    chunks = list(from_python(records)["train"].chunks())
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert [row.index for chunk in chunks for row in chunk] == list(range(5))


def test_words_that_cannot_be_read_are_reported_at_the_end(tmp_path: Path) -> None:
    lines = ['{"sid": 1, "token": "a", "tag": "B-A"}', '{"sid": 1, "token": "b", "tag": "O"}']
    (tmp_path / "w.jsonl").write_text("\n".join([*lines, "{", lines[0].replace("1", "2")]))
    source = open_source(str(tmp_path / "w.jsonl"))
    assert isinstance(source, Sentences)
    words = []
    with pytest.raises(BadRecordsError, match=r"w.jsonl:3"):
        for chunk in source.chunks():
            words += [row.values["token"] for row in chunk]
    assert words == [["a", "b"], ["a"]]
    assert source.originals([1]) == {1: 3} or source.originals([1]) == {1: 2}


@pytest.mark.parametrize(
    "records",
    [
        [{"sentence": f"s{i}", "word": "a", "tag": "B-A"} for i in range(4)],  # one word each
        [{"sentence": "s", "word": "a", "tag": "A"} for _ in range(4)],  # a class
        [{"sentence": "s", "word": "two words", "tag": "B-A"} for _ in range(4)],
        [{"word": "a", "tag": "B-A"} for _ in range(4)],  # no sentence
    ],
)
def test_other_tables_are_left_alone(records: list[dict[str, Any]]) -> None:
    assert not isinstance(from_python(records)["train"], Sentences)

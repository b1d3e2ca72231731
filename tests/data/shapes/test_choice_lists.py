"""Where choices are: lists, keys, columns; and values of any kind, which are never an exception."""

from __future__ import annotations

import json
import random

import pytest

from tunesmith.data.open import from_python
from tunesmith.data.rows import BadRecordsError, Column
from tunesmith.data.shapes.choice_lists import InColumns, InOneColumn, numbered_columns, stem_of

READ = InOneColumn("choices")
ANYTHING: list[object] = [
    None, True, 3, 2.5, float("nan"), "", " ", "a | b", "[1, 2", '["a", "b"]', "{'a': 1}", "\x00",
    "[" * 400, b"ab", [], {}, ["a"], [["a"], {}], {"text": 3}, {"text": ["a", "b"], "label": [1]},
    {"text": ["a", None]}, {"stem": {}, "choices": 1}, {"choices": {"choices": {"choices": []}}},
    [{"text": "a"}, {"text": "b", "label": None}], [{"text": []}], {"A": "x", "B": 2}, {1: "x"},
    "1" * 5000, -1, 10**30, {"answer_start": [], "text": ["a", "b"]},
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "texts", "keys"),
    [
        (["a", "b"], ["a", "b"], ()),
        ({"text": ["a", "b"], "label": ["A", "B"]}, ["a", "b"], ("A", "B")),
        ([{"key": 1, "text": "a"}, {"key": 2, "text": "b"}], ["a", "b"], ("1", "2")),
        ('{"A": "a", "B": "b"}', ["a", "b"], ("A", "B")),
        ("a\nb", ["a", "b"], ()),
        ("a|b|", ["a", "b"], ()),
        (["a", None], ["a", None], ()),
    ],
)
def test_one_column(value: object, texts: list[object], keys: tuple[str, ...]) -> None:
    listed = READ({"choices": value})
    assert listed is not None
    assert [*listed.texts] == texts and listed.keys == keys


def test_columns_follow_each_other() -> None:
    def read(*names: str) -> list[list[str]]:
        readers = numbered_columns([Column(name, "text") for name in names])
        return [[*reader.columns.values()] for reader in readers if isinstance(reader, InColumns)]

    assert read("option_b", "Option A", "id") == [["Option A", "option_b"]]
    assert read("ending0", "ending1", "A", "B", "C") == [["ending0", "ending1"], ["A", "B", "C"]]
    assert read("answer2", "answer3") == read("b", "c") == read("choice1", "choice3") == []
    assert stem_of("Ending 0") == "ending" and stem_of("A") == stem_of("label") == ""


@pytest.mark.parametrize("seed", range(20))
def test_anything_gives_rows_or_a_coded_error(seed: int) -> None:
    draw = random.Random(seed)
    names = (
        draw.choice(["choices", "options", "question", "A"]),
        "question",
        "B",
        "label",
        "context",
    )
    good = {"question": "Q", "choices": ["a", "b"], "options": ["a", "b"], "A": "a", "B": "b",
            "label": 0}  # fmt: skip
    rows = [
        {name: draw.choice([*ANYTHING, good.get(name)]) if draw.random() < 0.4 else good.get(name)
         for name in names}
        for _row in range(30)
    ]  # fmt: skip
    source = from_python(rows)["train"]
    read = []
    try:
        for chunk in source.chunks():
            read += [row.values for row in chunk]
    except BadRecordsError as error:
        assert {problem.code for problem in error.problems} == {"D368"}
        assert len(read) + len(error.records) == 30
    else:
        assert len(read) == 30
    json.dumps(read, default=str)

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.errors import DataError
from tunesmith.inference import rows as rows_module
from tunesmith.inference.rows import in_thousands, need_columns, source_of

PAIR = Roles("one", "two", None)
ROWS = [{"one": "the soup", "two": "the rice"}, {"one": "a cup", "two": "a pan"}]


def texts(rows: object, roles: Roles = PAIR) -> list[dict[str, object]]:
    source = source_of(rows, roles, ReadingOptions())
    return [dict(row.values) for chunk in source.chunks(roles.text_columns) for row in chunk]


def test_rows_in_every_form(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    forms = [
        ROWS, frame, tmp_path / "rows.csv", str(tmp_path / "rows.csv"),
        [("the soup", "the rice"), ["a cup", "a pan"]],
    ]  # fmt: skip
    for rows in forms:
        assert texts(rows) == ROWS


def test_one_text_is_one_row() -> None:
    alone = Roles("body", None, None)
    assert texts("no such file.csv", alone) == [{"body": "no such file.csv"}]
    assert texts(["a", "b"], alone) == [{"body": "a"}, {"body": "b"}]


@pytest.mark.parametrize("text", ["again " * 60, "x/" * 3000, "a\0b"])
def test_a_text_that_no_path_can_be(text: str) -> None:
    assert texts(text, Roles("body", None, None)) == [{"body": text}]


def test_one_dict_is_one_row() -> None:
    assert texts(ROWS[0]) == ROWS[:1]
    assert texts({"train": ROWS}) == ROWS
    assert texts({"one": "a", "two": ""}) == [{"one": "a", "two": ""}]


def test_what_is_no_row_is_reported_by_its_number() -> None:
    alone = Roles("body", None, None)
    assert texts(["a", None, {"body": "b"}], alone) == [{"body": t} for t in ("a", "", "b")]
    with pytest.raises(DataError, match=r"D332 the given rows\[1\]"):
        texts(["a", float("nan")], alone)


@pytest.mark.parametrize(
    ("rows", "code"),
    [([], "D120"), (["alone"], "D332"), ([("a", "b", "c")], "D332"), ([1], "D332")],
)
def test_what_the_model_cannot_read(rows: object, code: str) -> None:
    with pytest.raises(DataError, match=code):
        texts(rows)


def test_every_missing_column_is_reported_at_once() -> None:
    source = from_python([{"onne": "x", "label": 1}])["train"]
    need_columns(["label"], source)
    with pytest.raises(DataError, match="D301") as caught:
        need_columns(["one", "two"], source)
    assert len(caught.value.problems) == 2
    assert 'did you mean "onne"' in (caught.value.problems[0].fix or "")


def test_rows_come_some_thousand_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_ROWS_AT_ONCE", 4)
    source = from_python([{"n": str(i)} for i in range(10)])["train"]
    parts = list(in_thousands(source, ["n"]))
    assert [row.index for part in parts for row in part] == list(range(10))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tunesmith.data.readers import memory
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.errors import DataError, Place


def rows(source: Source, columns: list[str] | None = None) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks(columns) for row in chunk]


def test_a_frame_keeps_words_and_loses_no_missing_value() -> None:
    source = Memory.of_frame(pd.DataFrame({"text": ["NA", None], "label": [1.0, None]}), "f")
    assert rows(source) == [{"text": "NA", "label": 1.0}, {"text": None, "label": None}]


def test_a_list_holds_dicts() -> None:
    with pytest.raises(DataError, match="D144"):
        Memory.of_records([{"a": 1}, "b"], "m")  # type: ignore[list-item]


def test_frames_that_mix_types(tmp_path: Path) -> None:
    mixed = {"text": ["a", 5, None, float("nan")], "n": [np.int64(1), "x", pd.NA, pd.NaT]}
    source = Memory.of_frame(pd.DataFrame(mixed, dtype=object), "f")
    assert rows(source) == [
        {"text": "a", "n": 1}, {"text": 5, "n": "x"}, {"text": None, "n": None},
        {"text": None, "n": None},
    ]  # fmt: skip
    assert [(c.name, c.type) for c in source.columns] == [("text", "text"), ("n", "integer")]
    assert type(rows(source)[0]["n"]) is int
    pair = np.array([1, 2])
    assert memory._plain(pair) is pair
    assert memory._plain(np.float32(0.5)) == 0.5 and type(memory._plain(np.float32(0.5))) is float


def test_types_of_records_are_those_of_their_first_values() -> None:
    record = {"a": True, "b": "x", "c": 1, "d": 1.5, "e": [1], "f": {}, 7: None}
    source = Memory.of_records([{"a": None}, record, {"a": "x", 7: 2}], "m")
    assert [(c.name, c.type) for c in source.columns] == [
        ("a", "boolean"), ("b", "text"), ("c", "integer"), ("d", "number"), ("e", "list"),
        ("f", "dict"), ("7", "integer"),
    ]  # fmt: skip
    assert rows(source, ["7"]) == [{"7": None}, {"7": None}, {"7": 2}]
    whole = [{"a": 1}]
    assert Memory.of_records(whole, "m").records is whole
    with pytest.raises(DataError) as caught:
        Memory.of_records([{"a": 1}, "x" * 100], "m")  # type: ignore[list-item]
    (problem,) = caught.value.problems
    assert problem.message == "not an object with columns: '" + "x" * 79
    assert str(problem.place) == str(Place("m", row=1))


def test_records_that_cannot_be_written_come_after_all_others() -> None:
    records: list[dict[str, object]] = [{"text": f"t{i}"} for i in range(1_002)]
    records[1]["text"] = records[1_001]["text"] = "\ud800"
    source, read = Memory.of_records(records, "m"), list[int]()
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            read += [row.index for row in chunk]
    assert read == [0, *range(2, 1_001)]
    assert [(r.place, r.code) for r in caught.value.records] == [
        (Place("m", row=n), "D142") for n in (1, 1_001)
    ]

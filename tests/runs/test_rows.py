from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import WriteRows
from tests.runs.test_prepare import job
from tunesmith.data.rows import Row
from tunesmith.errors import IntegrityError
from tunesmith.runs.rows import rows_by_number


def test_rows_of_several_splits_come_from_one_reading(
    tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job(tickets, tiny_bert)
    train, validation = (made.examples[name].rows.tolist() for name in ("train", "validation"))
    source = made.splits["train"].source
    readings = []
    real = type(source).chunks

    def counted(self, columns=None):  # type: ignore[no-untyped-def]
        readings.append(tuple(columns))
        return real(self, columns)

    monkeypatch.setattr(type(source), "chunks", counted)
    by_split = rows_by_number(
        made.splits, made.task.roles, {"train": train[:2], "validation": validation[-1:]}
    )
    assert readings == [("body", "queue")]
    assert {name: list(rows) for name, rows in by_split.items()} == {
        "train": sorted(train[:2]),
        "validation": validation[-1:],
    }
    for rows in by_split.values():
        for number, row in rows.items():
            assert f" {number}" in str(row.values["body"])
            assert row.values["queue"] == ("repair" if number % 2 == 0 else "order")
    tickets.write_text(tickets.read_text().replace("order", "repair"))
    with pytest.raises(IntegrityError, match="D160"):
        rows_by_number(made.splits, made.task.roles, {"train": train[:2]})


def test_sources_of_their_own_are_each_read_once(write_jsonl: WriteRows, tiny_bert: Path) -> None:
    rows = [{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(12)]
    train = write_jsonl(rows, "train.jsonl")
    test = write_jsonl([{"text": f"unlabeled {i}"} for i in range(3)], "test.jsonl")
    made = job(train, tiny_bert, f"data.test={test}", "data.validation=25%")
    by_split = made.rows({"test": [2], "train": [], "validation": []})
    assert by_split == {"test": {2: Row(2, {"text": "unlabeled 2"})}, "train": {}, "validation": {}}
    train.write_text(train.read_text().replace("soup", "rice"))
    assert made.rows({"test": [0]})["test"][0].values == {"text": "unlabeled 0"}
    with pytest.raises(IntegrityError, match=r"D160 .*train\.jsonl"):
        made.rows({"test": [0], "train": [0]})

from __future__ import annotations

from tunesmith.data.readers.tables import RaggedRows
from tunesmith.errors import Place


def ragged(*records: list[str]) -> RaggedRows:
    rows = RaggedRows(2, ";", fix_if_wide="quote it")
    for line, record in enumerate(records, start=5):
        rows.add(Place("a.csv", line), record)
    return rows


def test_nothing_is_wrong_yet() -> None:
    assert not ragged()
    assert ragged(["a"])


def test_one_record() -> None:
    error = ragged(["a", "b", "c"]).error()
    (problem,) = error.problems
    assert problem.code == "D110"
    assert str(problem.place) == "a.csv:5"
    assert problem.message == '3 fields, the header has 2: "a;b;c"'
    assert (problem.evidence, problem.fix, problem.count) == ((), "quote it", 1)
    (record,) = error.records
    assert (record.code, record.reason, str(record.place)) == (
        "D110", '3 fields, the header has 2: "a;b;c"', "a.csv:5",
    )  # fmt: skip


def test_many_records_are_reported_together_by_the_first_places() -> None:
    error = ragged(*[["a"]] * 7, ["a", "b", "c"]).error()
    (problem,) = error.problems
    assert problem.message == '1 field, the header has 2: "a" (8 rows)'
    assert problem.evidence == ("also a.csv:6, a.csv:7, a.csv:8, a.csv:9",)
    assert problem.fix == "Complete or remove the row."
    assert problem.count == len(error.records) == 8


def test_a_long_record_is_shortened() -> None:
    assert len(ragged(["x" * 5000]).error().problems[0].message) < 150

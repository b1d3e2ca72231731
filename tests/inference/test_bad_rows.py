"""Rows that cannot be predicted: refused, left out or kept, and counted whatever the order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.findings import Finding
from tunesmith.data.open import from_python
from tunesmith.data.rows import BadRecordsError, Column, Rejected, Row
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity
from tunesmith.inference.bad_rows import POLICIES, BadRows

EMPTY = Finding("D310", "the text is empty", fix="Complete or remove the row.")


def examine(row: Row) -> Finding | None:
    return None if row.values["text"] else EMPTY


def encode(rows: Sequence[Row]) -> list[str]:
    """Refuses a whole part for one row, as tasks do."""
    for row in rows:
        if row.values["text"] == "no mask":
            raise DataError(Problem("D331", f"row {row.index} has no mask", fix="Write one."))
    return [str(row.values["text"]) for row in rows]


def rows_of(texts: Sequence[str]) -> list[Row]:
    return [Row(i, {"text": text}) for i, text in enumerate(texts)]


def bad_rows(texts: Sequence[str], policy: str) -> BadRows:
    return BadRows(from_python([{"text": text} for text in texts], "data")["train"], policy)


@given(st.lists(st.sampled_from(["good", "", "no mask"]), min_size=1, max_size=40))
def test_exactly_the_bad_rows_are_sorted_out(texts: list[str]) -> None:
    expected = {
        i: {"": "D310", "no mask": "D331"}[text] for i, text in enumerate(texts) if text != "good"
    }
    good = [text for text in texts if text == "good"]
    for policy in ("skip", "keep"):
        bad = bad_rows(texts, policy)
        codes, encoded = bad.sort_out(rows_of(texts), examine, encode)
        assert codes == expected
        assert encoded == (good or None)
        problem = bad.warning()
        assert (problem is not None) is bool(expected)
        assert problem is None or problem.count == len(expected)
    strict = bad_rows(texts, "fail")
    if expected:
        with pytest.raises(DataError) as caught:
            strict.sort_out(rows_of(texts), examine, encode)
        assert caught.value.problems[0].code == ("D310" if "" in texts else "D331")
    else:
        assert strict.sort_out(rows_of(texts), examine, encode) == ({}, good)
        assert strict.warning() is None


def test_the_warning_counts_over_all_parts_and_names_places() -> None:
    texts = ["good", "", "no mask", "", "good"]
    bad = bad_rows(texts, "keep")
    rows = rows_of(texts)
    bad.sort_out(rows[:2], examine, encode)
    bad.sort_out(rows[2:], examine, encode)
    problem = bad.warning()
    assert problem is not None
    assert (problem.code, problem.severity, problem.count) == ("M153", Severity.WARNING, 3)
    assert problem.message == "3 rows cannot be predicted; their predictions are empty"
    assert problem.place == Place("data")
    assert problem.evidence == (
        "D310 data[1]: the text is empty (2 rows)",
        "D331 data[2]: row 2 has no mask",
    )


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("keep", "1 row cannot be predicted; its prediction is empty"),
        ("skip", "1 row cannot be predicted and is left out"),
    ],
)
def test_one_row_alone(policy: str, message: str) -> None:
    bad = bad_rows([""], policy)
    assert bad.are_kept is (policy == "keep")
    assert bad.sort_out(rows_of([""]), examine, encode) == ({0: "D310"}, None)
    problem = bad.warning()
    assert problem is not None and problem.message == message


class Torn:
    """Two rows, and seven that cannot be read."""

    name = "torn.jsonl"
    columns = (Column("text", "text"),)
    notes = ()

    def chunks(self, _columns: object = None):  # type: ignore[no-untyped-def]
        yield rows_of(["a", "b"])
        records = [Rejected(Place(self.name, line=3 + i), "D140", "cut off") for i in range(7)]
        raise BadRecordsError([Problem("D140", "cut off")], records)

    def places(self, indices: Sequence[int]) -> dict[int, Place]:
        return {index: Place(self.name, line=index + 1) for index in indices}


@pytest.mark.parametrize("policy", ["keep", "skip"])
def test_rows_that_cannot_be_read_are_left_out_and_counted(policy: str) -> None:
    bad = BadRows(Torn(), policy)
    assert [row.index for chunk in bad.chunks(["text"]) for row in chunk] == [0, 1]
    problem = bad.warning()
    assert problem is not None
    assert problem.message == "7 rows cannot be read and are left out"
    assert problem.count == 7
    assert problem.evidence[0] == "D140 torn.jsonl:3: cut off"
    assert len(problem.evidence) == 5
    bad.sort_out(rows_of(["", "b"]), examine, encode)
    both = bad.warning()
    assert both is not None and both.count == 8
    assert both.message.startswith("1 row cannot be predicted")
    assert both.message.endswith("; 7 rows cannot be read and are left out")


def test_where_bad_rows_are_refused_so_are_unreadable_ones() -> None:
    with pytest.raises(BadRecordsError):
        list(BadRows(Torn(), "fail").chunks(None))


def test_policies() -> None:
    assert POLICIES == ("fail", "skip", "keep")
    with pytest.raises(RecipeError, match=r"R104.*quarantine.*fail, skip, keep"):
        bad_rows([], "quarantine")
    assert BadRows.empty_answer("D310") == {
        "label": None, "score": None, "scores": None, "problem": "D310",
    }  # fmt: skip

from __future__ import annotations

from tunesmith.data.findings import Finding, Findings, unwritable_in
from tunesmith.data.readers.memory import Memory
from tunesmith.errors import Severity


def findings() -> Findings:
    return Findings(Memory.of_records([{"text": str(i)} for i in range(100)], "m"))


def test_rows_of_a_kind_are_reported_once() -> None:
    result = findings()
    assert not result
    for row in range(10, 30):
        result.add(row, Finding("D201", "the label is empty", fix="Label it."))
    (problem,) = result.problems()
    assert str(problem) == (
        "error D201 m[10]: the label is empty (20 rows)\n"
        "  also m[11], m[12], m[13], m[14], …\n"
        "  Label it."
    )


def test_kinds_stay_apart() -> None:
    result = findings()
    result.add(1, Finding("D201", "a"))
    result.add(2, Finding("D310", "b", severity=Severity.WARNING))
    assert [p.code for p in result.problems()] == ["D201", "D310"]
    assert result


def test_one_row_is_not_counted() -> None:
    result = findings()
    result.add(7, Finding("D310", "the text is empty"))
    (problem,) = result.problems()
    assert str(problem) == "error D310 m[7]: the text is empty"


def test_of_one_code_a_bounded_number_of_fixes_is_listed() -> None:
    result = findings()
    for row in range(30):
        result.add(row, Finding("D206", f"no {row}", fix=f"fix {row}"))
    result.add(30, Finding("D206", "no 3 again", fix="fix 3"))
    result.add(31, Finding("D310", "empty"))
    problems = list(result.problems())
    assert [(p.code, p.count) for p in problems] == [
        *[("D206", 2 if i == 3 else 1) for i in range(10)], ("D206", 20), ("D310", 1)
    ]  # fmt: skip
    assert problems[10].fix == "fix 10"


def test_numbers_that_python_does_not_write_are_seen_at_any_depth() -> None:
    huge = 10**5_000
    for value in (huge, -huge, [1, huge], (huge,), {"a": [huge]}):
        finding = unwritable_in({"text": "x", "tags": value})
        assert finding is not None and finding.code == "D140"
        assert finding.message == "a number of thousands of digits"
    for value in (10**4_000, [10**4_000, "a", None, 1.5], {"a": 1}, "1" * 5_000, None):
        assert unwritable_in({"text": "x", "tags": value}) is None

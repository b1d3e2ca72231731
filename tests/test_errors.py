from __future__ import annotations

import pytest

from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity, first_problems
from tunesmith.i18n import use_language
from tunesmith.text import redact


def test_a_problem_reads_as_editors_follow_it() -> None:
    problem = Problem(
        "D301",
        'no column "lable" in tickets.csv',
        Place("recipe.yaml", 7, 10),
        evidence=("7 |   label: lable", "  |          ^^^^^  did you mean"),
        fix="columns: id, body",
    )
    assert str(problem).splitlines() == [
        'error D301 recipe.yaml:7:10: no column "lable" in tickets.csv',
        "  7 |   label: lable",
        "    |          ^^^^^  did you mean",
        "  columns: id, body",
    ]


def test_the_severity_is_translated_and_the_code_is_not() -> None:
    use_language("zh")
    assert str(Problem("D301", "x", severity=Severity.WARNING)).startswith("警告 D301")


def test_an_error_tells_every_problem() -> None:
    error = DataError([Problem("D201", "one"), Problem("D202", "two")])
    assert str(error) == "error D201: one\nerror D202: two"
    assert error.exit_code == 3
    assert RecipeError(Problem("R101", "x")).exit_code == 2


def test_places() -> None:
    assert str(Place("a.csv", 3)) == "a.csv:3"
    assert str(Place("a.csv", 3, 4)) == "a.csv:3:4"
    assert str(Place("glue/mrpc:train", row=15)) == "glue/mrpc:train[15]"


def test_of_many_problems_the_others_are_counted() -> None:
    problems = [Problem(f"D{i}", "x", Place("a", i), severity=Severity.WARNING) for i in range(5)]
    assert first_problems(problems, at_most=5) == problems
    assert first_problems([]) == []
    *first, last = first_problems(iter(problems), at_most=3)
    assert first == problems[:3]
    message = "2 more such problems"
    assert last == Problem("D2", message, Place("a"), severity=Severity.WARNING)
    one_more = first_problems([Problem("D1", "x"), Problem("D1", "y")], at_most=1)[-1]
    assert one_more == Problem("D1", "1 more such problem")


def test_tokens_are_masked_everywhere() -> None:
    secret = "hf_abcdefghijklmnop"
    problem = Problem("M104", f"url with {secret}", fix=f"not {secret}")
    assert secret not in str(problem)
    assert secret not in str(problem.as_json())
    assert redact("the word hf_ alone stays") == "the word hf_ alone stays"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("from http://me:pw@host:80/x: no", "from http://…@host:80/x: no"),
        ("https://me@host/x", "https://…@host/x"),
        ("http://me:p@@s:s/w@host", "http://…@host"),
        ("http://host:80/x", "http://host:80/x"),
        ("https://host/@me and a@b", "https://host/@me and a@b"),
        ("http://a:b@c http://d:e@f", "http://…@c http://…@f"),
    ],
)
def test_users_of_addresses_are_masked(text: str, masked: str) -> None:
    assert redact(text) == masked
    problem = Problem("M104", text, Place(text), (text,), text)
    assert str(problem).count(masked) == 4
    assert [*problem.as_json().values()].count(masked) == 3

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.columns import Roles
from tunesmith.data.labels import spelled
from tunesmith.errors import Place, Severity
from tunesmith.inputs.label_checks import (
    class_problems,
    header_problem,
    is_rating,
    label_set_problems,
    order_problem,
    spelling_problems,
)

PLACE = Place("a.csv")
NAMES = st.text("abcdefgh打", min_size=1, max_size=6)


@given(st.dictionaries(NAMES, st.integers(1, 9), min_size=1))
def test_classes_that_differ_in_more_than_spelling_pass(counts: dict[str, int]) -> None:
    assert not list(spelling_problems(counts, Counter(text=9), "label", PLACE))


@given(st.dictionaries(NAMES, st.integers(1, 9), min_size=1), st.sampled_from([" ", "　", "\t"]))
def test_spellings_of_one_class_are_found(counts: dict[str, int], space: str) -> None:
    name = next(iter(counts))
    result = list(spelling_problems({**counts, space + name: 1}, Counter(text=9), "label", PLACE))
    assert [problem.code for problem in result] == ["D203"]
    assert f'"{spelled(space + name)}" (1)' in result[0].message


def test_kinds_of_labels_that_are_mixed_are_counted() -> None:
    kinds = Counter(text=3, number=5)
    (problem,) = spelling_problems({"a": 3, "1": 5}, kinds, "label", PLACE)
    assert problem.code == "D207"
    assert problem.severity is Severity.ERROR
    assert problem.message == '"label" holds labels of several types: number (5), text (3)'


def test_spellings_that_look_alike_are_written_out() -> None:
    counts = {"abc": 4, "a\u200bbc": 2, "1": 3, "1.0": 1, "d\u00a0e": 1, "d e": 1}
    first, second, third = spelling_problems(counts, Counter(text=12), "label", PLACE)
    assert first.message == '"abc" (4), "a\\u200bbc" (2) look like one class'
    assert second.message == '"1" (3), "1.0" (1) look like one class'
    assert third.message == '"d\\u00a0e" (1), "d e" (1) look like one class'


def test_rows_of_one_label_each_are_no_task_of_several() -> None:
    alone = [("a",), ("b",), ()]
    (problem,) = label_set_problems(alone, 20, "tags", PLACE)
    assert (problem.code, problem.severity) == ("D219", Severity.WARNING)
    assert '"tags"' in problem.message and "--label-separator" in str(problem.fix)
    assert not list(label_set_problems(alone, 19, "tags", PLACE))
    assert not list(label_set_problems([*alone, ("a", "b")], 20, "tags", PLACE))
    assert not list(label_set_problems(["a", "b"], 20, "tags", PLACE))
    assert not list(label_set_problems([], 20, "tags", PLACE))


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        ({"a": 50, "b": 40}, []),
        ({"a": 90, "b": 30}, ["D215"]),
        ({"a": 90, "n/a": 80, "-100": 85}, ["D209", "D212"]),
        ({"a": 90, "b": 80, "c": 1}, ["D405", "D215"]),
        ({str(i): 5 for i in range(60)}, ["D216"]),
    ],
)
def test_odd_classes(counts: dict[str, int], codes: list[str]) -> None:
    assert [problem.code for problem in class_problems(counts, "label", PLACE)] == codes


def test_imbalance_names_the_majority_and_is_a_warning_beyond_fifty_to_one() -> None:
    (little,) = class_problems({"ok": 75, "bad": 25}, "label", PLACE)
    assert little.severity is Severity.NOTE
    assert 'always predicting "ok" scores 75.0% accuracy' in little.message
    (much,) = class_problems({"ok": 500, "bad": 10}, "label", PLACE)
    assert much.severity is Severity.WARNING


def test_a_first_row_in_the_place_of_names() -> None:
    roles = Roles("a good movie", None, "pos")
    names = ["pos", "2024-05-01", "a good movie"]
    (problem,) = header_problem({"pos": 4, "neg": 5}, roles, names, PLACE)
    assert "--columns label,column2,text" in str(problem)
    assert not list(header_problem({"yes": 4, "no": 5}, roles, names, PLACE))
    assert not list(header_problem({"pos": 4, "neg": 5}, Roles("text", None, "pos"), names, PLACE))


def test_the_order_of_a_model() -> None:
    own = {"0": "NEGATIVE", "1": "POSITIVE"}
    assert order_problem(["negative", "positive"], "m", own) is None
    assert order_problem(["a", "b"], "m", own) is None
    problem = order_problem(["positive", "negative"], "m", own)
    assert problem is not None
    assert problem.code == "D407"
    assert "data.labels=[negative, positive]" in str(problem.fix)


@pytest.mark.parametrize(
    ("names", "column", "is_scale"),
    [
        ("12345", "label", True), ("01", "stars", False), ("123", "stars", True),
        ("012", "label", False), ("012", "评分", True), ("135", "stars", False),
        ("1234567", "y", True), ("234", "y", False), ("abc", "rating", False),
        (["1.0", "2.0", "3.0"], "rating", True), (["1", "2", "3", "x"], "rating", False),
        ([str(i) for i in range(11)], "y", True), ([str(i) for i in range(1, 11)], "y", True),
        ("012345", "y", True), ("01234", "y", False),
    ],
)  # fmt: skip
def test_scales(names: str | list[str], column: str, is_scale: bool) -> None:
    assert is_rating(list(names), column) is is_scale
    result = [p for p in class_problems(dict.fromkeys(names, 9), column, PLACE) if p.code == "D221"]
    assert len(result) == is_scale
    if result:
        assert result[0].severity is Severity.NOTE
        assert "--task text-regression" in str(result[0].fix)


def test_a_scale_is_named_by_its_ends() -> None:
    (problem,) = class_problems(dict.fromkeys("12345", 9), "stars", PLACE)
    assert problem.message == '"stars" holds the numbers 1 to 5, learned as classes'

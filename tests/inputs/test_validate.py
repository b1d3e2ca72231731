from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.readers.columnar import Memory
from tunesmith.errors import DataError, Problem, Severity, TunesmithError
from tunesmith.inputs import check, check_other, look
from tunesmith.recipe import gather
from tunesmith.tasks.text_classification import TextClassification

TASK = TextClassification(Roles("text", None, "label"), ("a", "b"))


def rows(*labels: str) -> Memory:
    return Memory.of_records([{"text": f"t {i}", "label": x} for i, x in enumerate(labels)], "m")


def test_a_test_split_may_lack_all_labels_but_not_some() -> None:
    for labels, codes in ((("", ""), []), (("a", ""), ["D201"]), (("a", "b"), [])):
        split, kept = check_other("test", rows(*labels), TASK)
        assert [problem.code for problem in kept.problems] == codes
        assert split.is_labelled == ("a" in labels)
    _split, kept = check_other("validation", rows("", ""), TASK)
    assert [problem.code for problem in kept.problems] == ["D201"]


BASE = ("model=embedded:mini", "data.train=rows")


def problems_of(labels: Sequence[object], *sets: str) -> list[Problem]:
    """What a check of rows with these labels, again and again, says of labels."""
    data = [
        {"text": f"text {i} {i * 7919}", "label": labels[i % len(labels)]}
        for i in range(12 * len(labels))
    ]
    layers = gather(
        sets=["model=embedded:mini", "data.train=rows", "data.validation=null", *sets],
        environment={},
    )
    try:
        problems = check(look(layers, from_python(data)), audited=True).warnings
    except TunesmithError as error:
        assert error.exit_code == DataError.exit_code
        problems = error.problems
    return [
        problem
        for problem in problems
        if problem.code[:2] in ("D1", "D2") and problem.code != "D215"
    ]


MULTI = "task=multi-label-classification"


@pytest.mark.parametrize(
    ("labels", "sets", "codes"),
    [
        (["a", "b"], [], []),
        ([1, 2.0, 1.0], [], []),
        ([True, False], [], []),
        ([True, 1, False], [], ["D207"]),
        ([1, "a"], [], ["D207"]),
        (["1", "1.0", "2"], [], ["D203"]),
        (["1", "1.0", "2"], ["data.normalize_labels=true"], []),
        (["abc", "a\u200bbc", "x"], [], ["D203"]),
        (["abc", "\ufeffabc", "x"], ["data.normalize_labels=true"], []),
        (["abc", "ａｂｃ ", "x"], [], ["D203"]),
        (["a", {"x": 1}], [], ["D217"]),
        (["a", b"b"], ["task=text-classification"], ["D217"]),
        (["a", float("nan"), "b"], [], ["D201"]),
        (["a", "\u200b", "b"], [], ["D201"]),
        (["a", "\ud800"], [], ["D142"]),
        ([["a"], ["b"]], ["task=text-classification"], ["D208"]),
        ([["a"], ["b"]], [], ["D219"]),
        ([["a", "b"], ["b"], []], [], []),
        ([["a", "b"], [["b"]]], [], ["D217"]),
        ([["a", None], ["b"]], [], ["D217"]),
        ([[1, "a"], ["b"]], [], ["D207"]),
        ([[1, 2], ["b"]], [], ["D207"]),
        ([["A", "b"], ["a"]], [], ["D203"]),
        ([["a", "b"], None], [], ["D201"]),
        ([["positive", "x"]] * 40 + [["postive"]], [], ["D220"]),
        (["positive"] * 40 + ["x"] * 40 + ["postive"], [], ["D220"]),
        (["a;b", "a", "b;a"], [], ["D218"]),
        (["a;b", "a", "b;a"], ["task=text-classification"], ["D218"]),
        (["a;b", "a", "b;a", ""], [MULTI], []),
        (["a, b", "b,c", "c,a,b"], [MULTI], []),
        (["['a', 'b']", "['a']", "[]"], [MULTI], []),
        (["['a', 'b']", "['a']", "['b"], [MULTI, "data.label_separator=json"], ["D217"]),
        (["a", "b", "c", "d"], [MULTI], ["D219"]),
    ],
)  # fmt: skip
def test_what_labels_may_be(labels: list[object], sets: list[str], codes: list[str]) -> None:
    assert sorted({problem.code for problem in problems_of(labels, *sets)}) == codes


def test_several_labels_in_one_field_are_asked_about() -> None:
    (error,) = problems_of(["a;b", "a", "b;a"])
    assert error.severity is Severity.ERROR
    assert error.message == '"label" seems to hold several labels in one field, such as "b;a"'
    assert error.evidence == ("24 of the first 36 rows have several of 2 labels",)
    assert "--task multi-label-classification --label-separator ';'" in str(error.fix)
    (warning,) = problems_of(["a;b", "a", "b;a"], "task=text-classification")
    assert warning.severity is Severity.WARNING
    assert problems_of(["a;b", "a", "b;a"], "data.labels=[a;b, a, b;a]") == []


def test_a_recognized_separator_is_taken_and_told() -> None:
    data = [{"text": f"t {i}", "label": ["a;b", "b", "", "c ;a"][i % 4]} for i in range(24)]
    layers = gather(sets=[*BASE, MULTI], environment={})
    checked = check(look(layers, from_python(data)))
    assert checked.recipe.data.label_separator == ";"
    assert str(checked.layers.origin("data", "label_separator")).startswith("automatic: such as ")
    assert [note for note in checked.notes if "label" in note] == [
        "3 labels: a 12, b 12, c 6",
        'several labels in one field: separated by ";"',
        "6 rows have no label: none of the labels applies",
    ]
    named = gather(
        sets=[*BASE, MULTI, "data.label_separator=|"],
        environment={},
    )
    assert check(look(named, from_python(data))).recipe.data.label_separator == "|"


def test_rows_without_a_label_are_told_as_such() -> None:
    (empty,) = problems_of(["a", " ", "b"])
    assert empty.message == "the label is empty (12 rows)"
    assert empty.fix == "Label or remove the rows."
    (of_several,) = problems_of([["a", "b"], None])
    assert str(of_several.fix).endswith("a row without any label holds an empty list.")


def test_thousands_of_unknown_labels_are_told_together() -> None:
    known = tuple(f"class {i:04}" for i in range(5_000))
    task = TextClassification(Roles("text", None, "label"), known)
    _split, kept = check_other("validation", rows(*(f"clazz {i:04}" for i in range(3_000))), task)
    assert {problem.code for problem in kept.problems} == {"D206"}
    assert sum(problem.count or 0 for problem in kept.problems) == 3_000
    assert len(kept.problems) == 11

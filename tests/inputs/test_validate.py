from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.readers.memory import Memory
from tunesmith.errors import DataError, Problem, Severity, TunesmithError
from tunesmith.inputs import ValidatedInputs, resolve_inputs, validate_inputs, validate_split
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import prepare_run
from tunesmith.runs.start import inputs_of, write_inputs
from tunesmith.tasks.text_classification import TextClassification

TASK = TextClassification(Roles("text", None, "label"), ("a", "b"))


def rows(*labels: str) -> Memory:
    return Memory.of_records([{"text": f"t {i}", "label": x} for i, x in enumerate(labels)], "m")


def test_a_test_split_may_lack_all_labels_but_not_some() -> None:
    for labels, codes in ((("", ""), []), (("a", ""), ["D201"]), (("a", "b"), [])):
        split, retained = validate_split("test", rows(*labels), TASK)
        assert [problem.code for problem in retained.problems] == codes
        assert split.is_labeled == ("a" in labels)
    _split, retained = validate_split("validation", rows("", ""), TASK)
    assert [problem.code for problem in retained.problems] == ["D201"]


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
        problems = validate_inputs(resolve_inputs(layers, from_python(data)), audited=True).warnings
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


def test_a_recognized_separator_is_taken_and_reported() -> None:
    data = [{"text": f"t {i}", "label": ["a;b", "b", "", "c ;a"][i % 4]} for i in range(24)]
    layers = gather(sets=[*BASE, MULTI], environment={})
    checked = validate_inputs(resolve_inputs(layers, from_python(data)))
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
    assert (
        validate_inputs(resolve_inputs(named, from_python(data))).recipe.data.label_separator == "|"
    )


def test_rows_without_a_label_are_reported_as_such() -> None:
    (empty,) = problems_of(["a", " ", "b"])
    assert empty.message == "the label is empty (12 rows)"
    assert empty.fix == "Label or remove the rows."
    (of_several,) = problems_of([["a", "b"], None])
    assert str(of_several.fix).endswith("a row without any label holds an empty list.")


def test_thousands_of_unknown_labels_are_reported_together() -> None:
    known = tuple(f"class {i:04}" for i in range(5_000))
    task = TextClassification(Roles("text", None, "label"), known)
    _split, retained = validate_split(
        "validation", rows(*(f"clazz {i:04}" for i in range(3_000))), task
    )
    assert {problem.code for problem in retained.problems} == {"D206"}
    assert sum(problem.count or 0 for problem in retained.problems) == 3_000
    assert len(retained.problems) == 11


GOOD = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(20))
BAD = GOOD + ",a\nfine,b\nno label,\nthree,fields,a\nalso fine,a\n"


def checked(path: Path, *sets: str) -> ValidatedInputs:
    layers = gather(
        sets=["model=embedded:mini", f"data.train={path}", "data.validation=null", *sets],
        environment={},
    )
    return validate_inputs(resolve_inputs(layers))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text(BAD)
    return path


def test_left_out_rows_are_reported_and_the_others_are_used(bad: Path) -> None:
    result = checked(bad, "data.on_bad_row=skip")
    train = result.splits["train"]
    assert train.num_rows == 22
    assert [(p.code, p.severity) for p in result.warnings] == [
        ("D110", Severity.WARNING),
        ("D310", Severity.WARNING),
        ("D201", Severity.WARNING),
    ]
    assert all(problem.message.startswith("left out: ") for problem in result.warnings)
    assert not result.rejected
    assert train.source.places([20, 21])[21].line == 26
    examples = prepare_run(result).examples["train"]
    assert len(examples) == 22


def test_the_default_stops(bad: Path) -> None:
    with pytest.raises(DataError) as caught:
        checked(bad)
    assert {problem.code for problem in caught.value.problems} == {"D110", "D310", "D201"}


def test_left_out_is_another_content(bad: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.csv"
    clean.write_text(GOOD)
    digests = {
        checked(path, f"data.on_bad_row={policy}").splits["train"].digest
        for path, policy in ((bad, "skip"), (clean, "skip"), (clean, "fail"))
    }
    assert len(digests) == 2  # nothing is left out of the clean file


def test_shares_are_drawn_from_what_is_left(bad: Path) -> None:
    result = checked(bad, "data.on_bad_row=skip", "data.validation=20%")
    rows = {
        name: {split.source.places([place])[place].line for place in split.places}
        for name, split in result.splits.items()
        if split.places is not None
    }
    assert len(rows["train"] | rows["validation"]) == 22
    assert not {22, 24, 25} & (rows["train"] | rows["validation"])


def test_a_test_split_that_lacks_some_labels(bad: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.csv"
    clean.write_text(GOOD)
    result = checked(clean, f"data.test={bad}", "data.on_bad_row=skip")
    assert result.splits["test"].num_rows == 22
    assert result.splits["test"].is_labeled
    assert prepare_run(result).examples["test"].labels.shape == (22,)


def test_quarantine_writes_what_was_left_out_with_its_reason(bad: Path, tmp_path: Path) -> None:
    layers = gather(
        sets=["model=embedded:mini", f"data.train={bad}", "data.on_bad_row=quarantine"],
        environment={},
    )
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    result = inputs_of(layers, run)
    write_inputs(run, result.recipe, result.layers, result.rejected)
    written = [json.loads(line) for line in run.rejected.read_text().splitlines()]
    assert [(row["split"], row["place"], row["code"]) for row in written] == [
        ("train", f"{bad}:22", "D310"),
        ("train", f"{bad}:24", "D201"),
        ("train", f"{bad}:25", "D110"),
    ]
    assert written[1]["values"] == {"text": "no label", "label": ""}
    assert "three,fields,a" in written[2]["reason"]


@pytest.mark.parametrize("content", ["text,label\n,a\n,b\n", 'text,label\nx,a\n"open,b\n'])
def test_what_leaves_no_good_row_or_cannot_be_read_stops(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError):
        checked(path, "data.on_bad_row=skip", "data.text=text", "data.label=label")

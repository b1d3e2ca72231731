"""Which task and which columns a data set suggests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.profile import profile
from tunesmith.data.readers.memory import Memory
from tunesmith.errors import TunesmithError
from tunesmith.recipe import DataSettings
from tunesmith.tasks import Match, match_task, suggest_label

Make = Callable[[int], object]


def text(i: int) -> str:
    return f"a message of some length, number {i}"


def classes(*names: object) -> Make:
    return lambda i: names[i % len(names)]


def matched(
    columns: Mapping[str, Make], task: str | None = None, rows: int = 40, **settings: object
) -> tuple[str, Match]:
    records = [{name: make(i) for name, make in columns.items()} for i in range(rows)]
    requested = DataSettings.model_validate({"train": "m", **settings})
    of, match = match_task(profile(Memory.of_records(records, "m")), requested, task)
    return of.name, match


CLASSES, LABELS, NUMBERS = "text-classification", "multi-label-classification", "text-regression"
AB, FRACTION, LISTS = classes("a", "b"), lambda i: i / 7, classes(["a"], ["a", "b"])


@pytest.mark.parametrize(
    ("columns", "task", "roles"),
    [
        ({"id": str, "text": text, "label": AB}, CLASSES, Roles("text", None, "label")),
        (
            {"sentence1": text, "sentence2": text, "label": classes(0, 1), "idx": int},
            CLASSES,
            Roles("sentence1", "sentence2", "label"),
        ),
        (
            {"premise": text, "hypothesis": text, "gold_label": AB, "genre": AB},
            CLASSES,
            Roles("premise", "hypothesis", "gold_label"),
        ),
        (
            {"question": text, "sentence": text, "label": AB},
            CLASSES,
            Roles("question", "sentence", "label"),
        ),
        (
            {"question": text, "answer": text, "label": AB},
            CLASSES,
            Roles("question", "answer", "label"),
        ),
        (
            {"question": text, "passage": text, "answer": classes(True, False)},
            CLASSES,
            Roles("question", "passage", "answer"),
        ),
        (
            {"source": text, "target": text, "label": AB},
            CLASSES,
            Roles("source", "target", "label"),
        ),
        (
            {"source": AB, "text": text, "target": classes(0, 1)},
            CLASSES,
            Roles("text", None, "target"),
        ),
        ({"input": text, "output": AB}, CLASSES, Roles("input", None, "output")),
        ({"Sentence": text, "Score": FRACTION}, NUMBERS, Roles("Sentence", None, "Score")),
        ({"review": text, "stars": classes(1, 2, 5)}, CLASSES, Roles("review", None, "stars")),
        ({"text": text, "label": AB, "score": FRACTION}, CLASSES, Roles("text", None, "label")),
        ({"text": text, "label": FRACTION, "genre": AB}, NUMBERS, Roles("text", None, "label")),
        ({"text": text, "labels": LISTS, "sentiment": AB}, LABELS, Roles("text", None, "labels")),
        ({"text": text, "genres": LISTS}, LABELS, Roles("text", None, "genres")),
        ({"文本": text, "类别": AB}, CLASSES, Roles("文本", None, "类别")),
        (
            {"句子1": text, "句子2": text, "相似度": FRACTION},
            NUMBERS,
            Roles("句子1", "句子2", "相似度"),
        ),
        ({"正文": text, "标签": LISTS}, LABELS, Roles("正文", None, "标签")),
        ({"c1": text, "c2": AB, "id": str}, CLASSES, Roles("c1", None, "c2")),
        ({"title": AB, "body": text, "queue": AB}, CLASSES, Roles("body", None, "queue")),
        (
            {"Text": text, "Summary": text, "Score": classes(1, 5), "UserId": text},
            CLASSES,
            Roles("Text", None, "Score"),
        ),
    ],
)
def test_the_surest_task_and_its_columns(
    columns: Mapping[str, Make], task: str, roles: Roles
) -> None:
    name, match = matched(columns)
    assert (name, match.roles) == (task, roles)
    assert match.reason
    assert all(suggestion.reason for suggestion in match.suggested.values())


@pytest.mark.parametrize(
    ("columns", "choices"),
    [
        (
            {"text": text, "sentiment": AB, "topic": AB},
            ("text-classification --label sentiment", "text-classification --label topic"),
        ),
        (
            {"text": text, "tags": LISTS, "rating": FRACTION},
            ("multi-label-classification --label tags", "text-regression --label rating"),
        ),
        (
            {"text": text, "rude": classes(0, 1), "my flag": classes(0, 1, 1)},
            ("text-classification --label rude", "text-classification --label 'my flag'"),
        ),
        (
            {"内容": text, "情感": AB, "主题": AB},
            ("text-classification --label '情感'", "text-classification --label '主题'"),
        ),
    ],
)
def test_ties_are_reported_with_the_flags(
    columns: Mapping[str, Make], choices: tuple[str, ...]
) -> None:
    with pytest.raises(TunesmithError) as caught:
        matched(columns)
    (problem,) = caught.value.problems
    assert problem.code == "R204"
    assert problem.evidence == tuple(f"--task {choice}" for choice in choices)
    task, label = choices[1].split(" --label ")
    name, match = matched(columns, label=label.strip("'"))
    assert (name, match.roles.label) == (task, label.strip("'"))


def test_named_columns_and_tasks_are_taken_as_they_are() -> None:
    columns = {"a": text, "b": text, "c": AB, "label": AB}
    name, match = matched(columns, text="b", label="c")
    assert (name, match.roles) == (CLASSES, Roles("b", None, "c"))
    assert not match.suggested
    name, match = matched(columns, text="b", text_pair="a", label=["c", "label"])
    assert (name, match.roles) == (LABELS, Roles("b", "a", ("c", "label")))
    name, match = matched(columns, label="c", label_separator=";")
    assert (name, match.roles.label) == (LABELS, "c")
    name, match = matched(columns, task=NUMBERS, label="c", text="no such column")
    assert (name, match.roles) == (NUMBERS, Roles("no such column", None, "c"))
    assert matched(columns, label="no such column")[1].roles.label == "no such column"


def test_a_named_task_chooses_among_its_own_columns() -> None:
    columns = {"text": text, "sentiment": AB, "score": FRACTION, "tags": LISTS}
    for task, label in ((CLASSES, "sentiment"), (NUMBERS, "score"), (LABELS, "tags")):
        assert matched(columns, task=task)[1].roles == Roles("text", None, label)
    assert matched(columns, task="masked-lm")[1].roles == Roles("text")
    many = {"text": text, "label": int, "source": AB}
    assert matched(many, task=CLASSES, rows=60)[1].roles.label == "label"


def test_a_separator_is_suggested_with_the_labels() -> None:
    columns = {"text": text, "tags": classes("a|b", "b", "a|c", "c")}
    _name, match = matched(columns, task=LABELS)
    assert match.suggested["label_separator"].value == "|"
    assert "label_separator" not in matched(columns, task=LABELS, label_separator=";")[1].suggested


@pytest.mark.parametrize(
    ("columns", "task", "flag"),
    [
        ({"text": text, "note": text}, None, "--label"),
        ({"text": text}, CLASSES, "--label"),
        ({"id": int, "number": int}, None, "--text"),
        ({"number": int}, "masked-lm", "--text"),
    ],
)
def test_a_missing_role_must_be_named(
    columns: Mapping[str, Make], task: str | None, flag: str
) -> None:
    with pytest.raises(TunesmithError, match=flag) as caught:
        matched(columns, task=task)
    assert caught.value.problems[0].code == "D301"


def test_the_label_column_alone() -> None:
    def label_of(record: Mapping[str, object]) -> str | None:
        return suggest_label(profile(Memory.of_records([record] * 4, "m")), DataSettings(train="m"))

    assert label_of({"text": "a", "queue": "b"}) == "queue"
    assert label_of({"text": "a", "note": "b"}) is None

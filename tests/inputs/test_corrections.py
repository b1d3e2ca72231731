from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inputs.test_corrections_table import doubt
from tunesmith.data.columns import Roles
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Row, Source
from tunesmith.data.wrapped import original_rows
from tunesmith.errors import DataError, RecipeError
from tunesmith.inputs import ValidatedInputs, resolve_inputs, validate_inputs
from tunesmith.inputs.corrections import Corrected, correct
from tunesmith.inputs.corrections_table import mark_of, write_issues
from tunesmith.recipe import DataSettings, gather
from tunesmith.tasks import Task, task_named

TEXTS = ["the soup is cold", "=1+1", "-5", 'two\r\nlines, "quoted"', "'tis @home", "\x1b[31m\0"]
SETTINGS = DataSettings(train="rows")


def memory(labels: Sequence[object], texts: Sequence[str] = TEXTS) -> Memory:
    records = [{"text": t, "label": y} for t, y in zip(texts, labels, strict=True)]
    return Memory.of_records(records, "rows")


def classes() -> Task:
    return task_named("text-classification").make(Roles("text", None, "label"), SETTINGS, (), {})


def rows_of(source: Source) -> list[Row]:
    return [row for chunk in source.chunks() for row in chunk]


def test_corrections_are_applied_and_the_rest_stays(tmp_path: Path) -> None:
    source = memory(["a", "b", "a", "b", "a", "b"])
    table = tmp_path / "t.csv"
    write_issues(
        table,
        [
            doubt(0, TEXTS[0], "a", "b"),
            doubt(1, TEXTS[1], "b", ""),
            doubt(3, TEXTS[3], "b", "remove"),
            doubt(4, TEXTS[4], "a", "a"),
            doubt(5, TEXTS[5], "b", "a"),
        ],
    )
    made = correct([str(table)], classes(), {"train": source})["train"]
    assert [(row.index, row.values["label"]) for row in rows_of(made)] == [
        (0, "b"), (1, "b"), (2, "a"), (3, "a"), (4, "a"),
    ]  # fmt: skip
    assert [row.values["text"] for row in rows_of(made)] == [*TEXTS[:3], *TEXTS[4:]]
    assert made.notes == (f"{table}: 2 labels changed, 1 row left out",)
    assert rows_of(source)[0].values["label"] == "a"
    assert next(iter(made.chunks(["text"])))[0].values == {"text": TEXTS[0]}


@given(st.sets(st.integers(0, 5), max_size=5))
def test_rows_keep_their_places(removed: set[int]) -> None:
    source = memory(list("ababab"))
    made = Corrected.of(source, dict.fromkeys(removed), ())
    left = [row for row in range(6) if row not in removed]
    assert [row.index for row in rows_of(made)] == list(range(len(left)))
    assert list(original_rows(made, range(len(left))).values()) == left
    assert original_rows(source, [3]) == {3: 3}
    places = made.places(range(len(left)))
    assert [places[i].row for i in range(len(left))] == left


def test_of_two_tables_the_later_one_counts(tmp_path: Path) -> None:
    """Both speak of the rows as they are in the data, also where the first leaves some out."""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    write_issues(first, [doubt(0, TEXTS[0], "a", "remove"), doubt(1, TEXTS[1], "b", "a")])
    write_issues(second, [doubt(1, TEXTS[1], "a", "b"), doubt(2, TEXTS[2], "a", "b")])
    made = correct([str(first), str(second)], classes(), {"train": memory(list("ababab"))})
    assert "".join(str(row.values["label"]) for row in rows_of(made["train"])) == "bbbab"


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"mark": "m0"}, "R177", "not the one"),
        ({"row": "99"}, "R177", "not the one"),
        ({"split": "test"}, "R177", "no separate rows"),
        ({"correct": "bb"}, "R178", 'no training row has the label "bb"'),
        ({"correct": "remov"}, "R178", 'did you mean "remove"'),
        ({"row": "x"}, "R176", 'the row is "x"'),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, str], code: str, word: str, tmp_path: Path
) -> None:
    plain = {"split": "train", "row": "0", "correct": "b", "mark": mark_of([TEXTS[0]])}
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(plain), delimiter=";")
        table.writeheader()
        table.writerow(plain | change)
    with pytest.raises(DataError, match=f"{code}.*t.csv:2.*{word}".replace(":2.*", ":2(.|\n)*")):
        correct([str(tmp_path / "t.csv")], classes(), {"train": memory(list("ababab"))})


def test_twice_otherwise_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    write_issues(table, [doubt(0, TEXTS[0], "a", "b"), doubt(0, TEXTS[0], "a", "remove")])
    with pytest.raises(DataError, match="two corrections that differ"):
        correct([str(table)], classes(), {"train": memory(list("ababab"))})


def test_a_task_without_labels_is_refused() -> None:
    language = task_named("masked-lm").make(Roles("text"), SETTINGS, (), {})
    with pytest.raises(RecipeError, match="R175"):
        correct(["t.csv"], language, {"train": memory(list("ababab"))})
    assert correct([], language, {}) == {}


@pytest.mark.parametrize(
    ("task", "roles", "settings", "before", "words", "after"),
    [
        ("text-regression", "label", {}, {"label": 3.0}, "-4.5", {"label": "-4.5"}),
        ("multi-label-classification", "label", {}, {"label": ["x", "y"]}, "x", {"label": ["x"]}),
        ("multi-label-classification", "label", {}, {"label": ["x", "y"]}, "none", {"label": []}),
        (
            "multi-label-classification", "label", {"label_separator": ","},
            {"label": "x,y"}, "y, x", {"label": "y,x"},
        ),
        (
            "multi-label-classification", ("x", "y"), {},
            {"x": 1, "y": 1}, "y", {"x": "0", "y": "1"},
        ),
    ],
)  # fmt: skip
def test_each_form_of_label(
    task: str,
    roles: str | tuple[str, ...],
    settings: dict[str, str],
    before: dict[str, object],
    words: str,
    after: dict[str, object],
    tmp_path: Path,
) -> None:
    source = Memory.of_records([{"text": "one", **before}, {"text": "two", **before}], "rows")
    made = task_named(task).make(
        Roles("text", None, roles), SETTINGS.model_copy(update=settings), source.columns, {}
    )
    write_issues(tmp_path / "t.csv", [doubt(1, "two", "?", words)])
    corrected = correct([str(tmp_path / "t.csv")], made, {"train": source})["train"]
    assert [row.values for row in rows_of(corrected)] == [
        {"text": "one", **before},
        {"text": "two", **after},
    ]


def test_a_number_must_be_one(tmp_path: Path) -> None:
    task = task_named("text-regression").make(Roles("text", None, "label"), SETTINGS, (), {})
    write_issues(tmp_path / "t.csv", [doubt(0, TEXTS[0], "1", "much")])
    with pytest.raises(DataError, match=r"R178(.|\n)*not a number"):
        correct([str(tmp_path / "t.csv")], task, {"train": memory([1, 2, 3, 4, 5, 6])})


def test_a_recipe_with_corrections(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """Labels are learned from corrected rows, and what was read has another hash."""
    rows = [line.split(",") for line in tickets.read_text().splitlines()[1:]]
    table = tmp_path / "t.csv"
    marked = [doubt(i, rows[i][1], rows[i][2], "order") for i in (0, 2)]
    write_issues(table, [*marked, doubt(4, rows[4][1], rows[4][2], "remove")])

    def checked(*sets: str) -> ValidatedInputs:
        base = [f"data.train={tickets}", f"model={tiny_bert}", *sets]
        return validate_inputs(resolve_inputs(gather(sets=base)))

    plain, corrected = checked(), checked(f"data.corrections=[{table}]")
    assert plain.task.counts == {"order": 30, "repair": 30}
    assert corrected.task.counts == {"order": 32, "repair": 27}
    assert plain.splits["train"].digest != corrected.splits["train"].digest
    assert any("2 labels changed, 1 row left out" in note for note in corrected.notes)

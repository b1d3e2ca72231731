from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.interop.eject.target_cells import target_assignment, target_expression
from tunesmith.recipe import DataSettings
from tunesmith.tasks import task_named

CASES: list[tuple[str, list[object], dict[str, object], list[object] | None]] = [
    ("text-classification", ["b", "a"], {}, [1, 0]),
    ("text-classification", [1, 0], {}, [1, 0]),
    ("text-classification", [7, 3], {}, [1, 0]),
    ("text-classification", ["1", "0"], {}, [1, 0]),
    ("text-classification", [2.0, 1.0], {}, None),
    ("multi-label-classification", [["a"], ["a", "b"], []], {}, [[1, 0], [1, 1], [0, 0]]),
    ("multi-label-classification", ["a", "b"], {}, [[1, 0], [0, 1]]),
    ("multi-label-classification", ["a|b", "b"], {"label_separator": "|"}, [[1, 1], [0, 1]]),
    ("multi-label-classification", ["a | b", "b"], {"label_separator": "|"}, None),
    ("multi-label-classification", [[1], [2, 1]], {}, None),
    ("text-regression", ["1.5", " 2 "], {}, [1.5, 2.0]),
    ("text-regression", [1, 2.5], {}, [1.0, 2.5]),
]


def fitted(name: str, settings: dict[str, Any], rows: list[dict[str, object]]) -> Any:
    source = from_python(rows)["train"]
    label = settings.pop("label", "label")
    made = task_named(name).make(
        Roles("text", None, label), DataSettings(train="x", **settings), source.columns, {}
    )
    return made.fit(row for chunk in source.chunks() for row in chunk), source


def expression_of(task: Any, source: Any) -> Any:
    rows = [row for chunk in source.chunks() for row in chunk]
    names, label = task.roles.label_columns, task.roles.label
    labels: list[Any] = [tuple(row.values[name] for name in names) for row in rows]
    if not isinstance(label, tuple):
        labels = [row.values.get(label) for row in rows]
    return target_expression(task.script_parts, [(labels, rows)])


@pytest.mark.parametrize(("name", "labels", "settings", "expected"), CASES)
def test_the_expression_gives_the_answers(
    name: str, labels: list[object], settings: dict[str, Any], expected: list[object] | None
) -> None:
    task, source = fitted(name, dict(settings), [{"text": "x", "label": v} for v in labels])
    expression = expression_of(task, source)
    if expected is None:
        assert expression is None
        return
    assert expression is not None
    space = {
        "rows": {"label": labels},
        "LABEL": "label",
        "LABELS": list(getattr(task, "labels", ())),
    }
    exec("\n".join(target_assignment(expression, "targets", indent=1)), space)
    assert space["targets"] == expected


@pytest.mark.parametrize("yes", ["1", 1, "true", "yes"])
def test_columns_of_yes_and_no(yes: object) -> None:
    rows: list[dict[str, object]] = [
        {"text": "x", "a": yes, "b": 0},
        {"text": "y", "a": 0, "b": yes},
    ]
    task, source = fitted("multi-label-classification", {"label": ("a", "b")}, rows)
    expression = expression_of(task, source)
    assert expression is not None
    space: dict[str, Any] = {
        "rows": {name: [row[name] for row in rows] for name in "ab"}, "LABELS": ["a", "b"],
    }  # fmt: skip
    exec("\n".join(target_assignment(expression, "targets", indent=1)), space)
    assert space["targets"] == [[1.0, 0.0], [0.0, 1.0]]


def test_masked_words_have_no_label_column() -> None:
    task, source = fitted("masked-lm", {}, [{"text": "x"}])
    assert task.script_parts.targets is None
    assert expression_of(task, source) is None

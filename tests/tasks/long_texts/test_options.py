"""Options for long texts, as recipes have them."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.columns import Roles
from tunesmith.errors import RecipeError
from tunesmith.recipe import DataSettings
from tunesmith.tasks import task_from_json, task_named

ROLES = Roles("a", None, "label")
NAMES = ("text-classification", "multi-label-classification", "text-regression")


def make(name: str, options: dict[str, object]) -> Any:
    return task_named(name).make(ROLES, DataSettings(train="x", labels=("a", "b")), [], options)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_saved_with_the_task(name: str) -> None:
    task = make(name, {"long": "windows", "max_windows": 5})
    assert (task.long, task.max_windows, task.pooling) == ("windows", 5, "mean")
    assert not task.cuts_long_texts and task.advise_on_cuts(2.0) is None
    assert task_from_json(task.as_json()) == task
    assert make(name, {}).cuts_long_texts
    older = {key: value for key, value in make(name, {}).as_json().items() if key != "long"}
    assert task_from_json(older) == make(name, {})


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("text-classification", {"long": "middle"}, "R104"),
        ("text-classification", {"max_windows": 1}, "R104"),
        ("text-classification", {"pooling": "max"}, "R101"),
        ("multi-label-classification", {"pooling": "median"}, "R104"),
        ("text-regression", {"class_weights": "balanced"}, "R101"),
        ("multiple-choice", {"long": "windows"}, "R101"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: Any, code: str) -> None:
    with pytest.raises(RecipeError, match=code):
        make(name, options)

"""Tasks: one file each, behind one protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from tunesmith.data.columns import Roles
from tunesmith.data.profile import ColumnProfile
from tunesmith.errors import Problem, RecipeError, nearest
from tunesmith.i18n import gettext as _
from tunesmith.tasks.protocol import EVALUATION_SEED, Outputs, Predictions, Task

__all__ = [
    "EVALUATION_SEED",
    "TASKS",
    "Outputs",
    "Predictions",
    "Task",
    "suggest_task",
    "task_from_config",
    "task_from_json",
    "task_named",
]

TASKS = {
    "multi-label-classification": ".multi_label_classification:MultiLabelClassification",
    "text-regression": ".text_regression:TextRegression",
    "text-classification": ".text_classification:TextClassification",
    "masked-lm": ".masked_lm:MaskedLanguageModel",
}
"""Every task by name: its module (relative to this package) and its class.

The first that matches a label column is suggested for it.
"""


def task_named(name: str) -> type[Task]:
    """Return the class of a task.

    Raises:
        RecipeError: there is no such task (R109).
    """
    if name not in TASKS:
        close = nearest(name, TASKS)
        fix = _("Tasks: {names}.").format(names=", ".join(sorted(TASKS)))
        if close:
            fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        raise RecipeError(
            Problem("R109", _('there is no task "{name}"').format(name=name), fix=fix)
        )
    module, _colon, of = TASKS[name].partition(":")
    task: type[Task] = getattr(import_module(module, __name__), of)
    return task


def _all() -> Iterator[type[Task]]:
    return (task_named(name) for name in TASKS)


def suggest_task(label: ColumnProfile) -> tuple[str, str]:
    """The task that a label column looks like, and why."""
    for task in _all():
        if reason := task.matches(label):
            return task.name, reason
    raise RecipeError(
        Problem(
            "R109",
            _('no task suits the column "{column}"').format(column=label.column.name),
            fix=_("Name the label column with --label, or the task with --task."),
        )
    )


def task_from_json(facts: Mapping[str, Any]) -> Task:
    """The fitted task that `Task.as_json` described.

    Raises:
        RecipeError: there is no such task (R109).
        ValueError: a field is missing, unknown, or of another type.
    """
    known = task_named(str(facts["task"]))
    fields = {key: value for key, value in facts.items() if key != "task"}
    TypeAdapter(known).validate_json(json.dumps(fields), strict=True)
    try:
        return known.from_json(facts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def task_from_config(config: Mapping[str, Any], roles: Roles) -> Task | None:
    """The task of a plain Hugging Face model, None if it is none of these."""
    for task in _all():
        if (found := task.from_config(config, roles)) is not None:
            return found
    return None

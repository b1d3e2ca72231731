"""Tasks: one module or package each, behind one protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from tunesmith.data.columns import Roles, need_a_role
from tunesmith.data.profile import Profile
from tunesmith.errors import DataError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.recipe import DataSettings
from tunesmith.recipe.renamed import new_name
from tunesmith.tasks.matching import Confidence, Match, match_texts
from tunesmith.tasks.outputs import Outputs, Predictions
from tunesmith.tasks.protocol import EVALUATION_SEED, Task
from tunesmith.tasks.script_parts import ScriptParts, TargetExpression
from tunesmith.tasks.untrained_formats import UntrainedFormat, untrained_format
from tunesmith.text import did_you_mean, quoted, shell_quoted

__all__ = [
    "EVALUATION_SEED",
    "TASKS",
    "Match",
    "Outputs",
    "Predictions",
    "ScriptParts",
    "TargetExpression",
    "Task",
    "match_task",
    "suggest_label",
    "task_from_config",
    "task_from_json",
    "task_named",
]

TASKS = {
    "token-classification": ".token_classification.task:TokenClassification",
    "question-answering": ".question_answering.task:QuestionAnswering",
    "multiple-choice": ".multiple_choice.task:MultipleChoice",
    "text-ranking": ".text_ranking.task:TextRanking",
    "multi-label-classification": ".multi_label_classification:MultiLabelClassification",
    "text-regression": ".text_regression:TextRegression",
    "text-classification": ".text_classification:TextClassification",
    "masked-lm": ".masked_lm.task:MaskedLanguageModel",
}
"""Every task by name: its module (relative to this package) and its class."""


def task_named(name: str) -> type[Task]:
    """Return the class of a task.

    Raises:
        RecipeError: there is no such task (R109).
    """
    if name not in TASKS:
        known = _("Tasks: {names}.").format(names=", ".join(sorted(TASKS)))
        fix = did_you_mean(name, TASKS, otherwise=known)
        raise RecipeError.of("R109", _('there is no task "{name}"').format(name=name), fix=fix)
    module, _colon, of = TASKS[name].partition(":")
    task: type[Task] = getattr(import_module(module, __name__), of)
    return task


def _all() -> Iterator[type[Task]]:
    return (task_named(name) for name in TASKS)


def match_task(
    profile: Profile, requested: DataSettings, task: str | None = None
) -> tuple[type[Task], Match]:
    """Return the task that fits a data set best, and the columns it reads.

    Args:
        profile: what the data set looks like.
        requested: the columns that the user named.
        task: the task that the user named.

    Raises:
        RecipeError: there is no such task (R109), no task trains data of this format yet (R203), or
            several columns or tasks fit equally well (R204).
        DataError: no column may hold the text or the label (D301), or answers lack their context
            (D350).
    """
    if task is None:
        matches = _matches(profile, requested)
        is_known = bool(matches) and matches[0][1].confidence is Confidence.BY_SHAPE
        unsupported = None if is_known else untrained_format(profile, _label(matches))
        if unsupported and requested.label is None:
            if unsupported.lacks_context:
                raise DataError(_without_context(unsupported, profile))
            raise RecipeError(_untrained(unsupported, profile))
    else:
        of = task_named(task)
        matches = [(of, match)] if (match := of.matches(profile, requested)) else []
    if not matches:
        role = "label" if match_texts(profile, requested) else "text"
        raise need_a_role(role, profile)
    best = matches[0]
    tied = [one for one in matches if one[1].confidence == best[1].confidence]
    if len(tied) > 1 or best[1].rivals:
        raise RecipeError(_undecided(tied, profile))
    return best


def suggest_label(profile: Profile, requested: DataSettings) -> str | None:
    """Return the column that most likely holds the label, None if none does."""
    return _label(_matches(profile, requested))


def _label(matches: Sequence[tuple[type[Task], Match]]) -> str | None:
    label = matches[0][1].roles.label if matches else None
    return label if isinstance(label, str) else None


def _matches(profile: Profile, requested: DataSettings) -> list[tuple[type[Task], Match]]:
    """The tasks that a data set may be for, the surest first."""
    matches = [(of, match) for of in _all() if (match := of.matches(profile, requested))]
    matches.sort(key=lambda one: one[1].confidence, reverse=True)
    if requested.label is None:
        return [one for one in matches if one[1].confidence]
    # a column that is not there fits no task; the caller reports it
    return matches if matches and matches[0][1].confidence else matches[:1]


def _untrained(unsupported: UntrainedFormat, profile: Profile) -> Problem:
    message = _("this looks like {format} ({columns}); no task here trains on it yet")
    return Problem(
        "R203",
        message.format(format=unsupported.description, columns=quoted(unsupported.columns)),
        Place(profile.source.name),
        fix=(f"{unsupported.advice}\n" if unsupported.advice else "")
        + _(
            "If it is something else, name the columns and the task: --text COLUMN --label COLUMN "
            "--task TASK. Tasks: {names}."
        ).format(names=", ".join(sorted(TASKS))),
    )


def _without_context(unsupported: UntrainedFormat, profile: Profile) -> Problem:
    message = _("this looks like {format} ({columns}), and no column has the texts they are from")
    return Problem(
        "D350",
        message.format(format=unsupported.description, columns=quoted(unsupported.columns)),
        Place(profile.source.name),
        fix=_("Give each question the text that answers it, in a column such as context.")
        + "\n"
        + _("To answer from the question alone is generation, which no task here trains."),
    )


def _undecided(tied: Sequence[tuple[type[Task], Match]], profile: Profile) -> Problem:
    """The problem of several columns that may be the label, or several tasks."""
    choices = [
        f"--task {of.name} --label {shell_quoted(label)}"
        for of, match in tied
        for label in (*match.roles.label_columns, *match.rivals)
    ]
    return Problem(
        "R204",
        _("it is not clear what to learn; {count} choices fit equally well").format(
            count=len(choices)
        ),
        Place(profile.source.name),
        evidence=tuple(choices),
        fix=_("Name one of them. Columns: {names}.").format(
            names=quoted([column.name for column in profile.columns])
        ),
    )


def task_from_json(facts: Mapping[str, Any]) -> Task:
    """Return the fitted task that `Task.as_json` described, in this version or an earlier one.

    Raises:
        RecipeError: there is no such task (R109).
        ValueError: a field is missing, unknown, or of another type.
    """
    known = task_named(str(facts["task"]))
    fields = {
        new_name(f"options.{key}").removeprefix("options."): value
        for key, value in facts.items()
        if key != "task"
    }
    _fields_of(known).validate_json(json.dumps(fields), strict=True)
    try:
        return known.from_json(fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


@cache
def _fields_of(task: type[Task]) -> TypeAdapter[Task]:
    return TypeAdapter(task)


def task_from_config(config: Mapping[str, Any], roles: Roles) -> Task | None:
    """Return the task of a plain Hugging Face model, None if it is none of these."""
    tasks = (task.from_config(config, roles) for task in _all())
    return next((task for task in tasks if task is not None), None)

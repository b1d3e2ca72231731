"""What is wrong with rows of questions, where their shape leaves that to the task."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.data.findings import Finding
from tunesmith.errors import Severity
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["check_question"]


def check_question(
    values: Mapping[str, object], question: str, context: str | None, answers: str | None
) -> Finding | None:
    """Return what is wrong with a row, for the task; None if nothing.

    An answer whose place the data does not say gives a warning if there are several (D366).

    Args:
        values: of the row.
        question: the column of the question.
        context: that of the context; None if there is none.
        answers: that of the answers; None for rows without labels.
    """
    if context is None or not _is_text(values.get(context)):
        message = _("there is no context that could hold an answer")
        fix = _("Give each question the text that answers it, in a column such as context.")
        return Finding("D350", message, fix)
    if not _is_text(values.get(question)):
        return Finding("D310", _("the question is empty"), _("Complete or remove the row."))
    return _of_answers(values.get(answers), str(values[context])) if answers is not None else None


def _of_answers(value: object, context: str) -> Finding | None:
    if value is None:
        return None
    if isinstance(value, str) and value not in context:
        message = _('the answer "{text}" is not in the context').format(text=shortened(value))
        return Finding("D352", message, _("Copy the answer from the context, letter by letter."))
    if not isinstance(value, list | tuple) or not all(map(_is_located, value)):
        message = _("not a list of answers: {value}").format(value=shortened(str(value)))
        example = '[{"text": "Paris", "answer_start": 3}]'
        return Finding("D365", message, _("Write them like {example}.").format(example=example))
    several = [one for one in value if one.get("places", 1) > 1]
    if not several:
        return None
    message = _('the answer "{text}" is at {count} places of the context; its first one counts')
    return Finding(
        "D366",
        message.format(text=shortened(several[0]["text"]), count=several[0]["places"]),
        _("Say where it starts, in a column answer_start."),
        severity=Severity.WARNING,
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_located(answer: object) -> bool:
    return (
        isinstance(answer, Mapping)
        and isinstance(answer.get("text"), str)
        and type(answer.get("answer_start")) is int  # True is no place
    )

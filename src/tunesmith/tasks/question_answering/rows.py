"""Rows with a question, its context and the answers in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tunesmith.data.columns import Roles
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Row
from tunesmith.data.shapes.question_checks import check_question
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["Asked", "Given", "Span", "read_asked", "validate_asked"]


class Span(NamedTuple):
    """A part of a context.

    Attributes:
        text: as it is there; empty for no answer.
        start: its first character; 0 for no answer.
    """

    text: str
    start: int

    @property
    def end(self) -> int:
        """The character after the last one."""
        return self.start + len(self.text)

    @classmethod
    def of(cls, context: str, start: int, end: int) -> Span:
        """Return a part of a context by its characters."""
        return cls(context[start:end], start)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a text.

    Attributes:
        question: the question.
        context: where the answer is, if there is one.
        answers: any of which is right; none if the context does not answer the question.
    """

    question: str
    context: str
    answers: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """The answer to a question.

    Attributes:
        question: with its context.
        span: in the context; that of no text for no answer.
    """

    question: Asked
    span: Span

    @property
    def text(self) -> str:
        """The answer; empty for none."""
        return self.span.text


def read_asked(row: Row, roles: Roles) -> Asked:
    """Return the question of a valid row; without labels it has no answers."""
    question, context = (str(row.values[str(name)]) for name in (roles.text, roles.text_pair))
    answers: Any = row.values.get(str(roles.label)) or ()
    spans = tuple(Span(str(one["text"]), int(one["answer_start"])) for one in answers)
    return Asked(question, context, spans)


def validate_asked(row: Row, roles: Roles) -> Finding | None:
    """Return what is wrong with a row."""
    label = None if roles.label is None else str(roles.label)
    if finding := check_question(row.values, roles.text, roles.text_pair, label):
        return finding
    question = read_asked(row, roles)
    for answer in question.answers:
        if question.context[answer.start : answer.end] != answer.text:
            message = _('the answer "{text}" is not at {start}')
            message = message.format(text=shortened(answer.text), start=answer.start)
            fix = _("Count characters (code points) of the context from 0.")
            return Finding("D351", message, fix)
    return None

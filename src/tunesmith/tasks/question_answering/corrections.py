"""Answers in one cell of a table of corrections: `Paris`, or `Paris | the capital@23`.

A text is that of its first place in the context, unless the cell says at which character it begins.
A question without an answer is `none`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.concrete_kinds import NO_LABEL
from tunesmith.tasks.question_answering.rows import Span
from tunesmith.text import shortened

__all__ = ["answers_of_cell", "as_cell"]

_BETWEEN = " | "
_WITH_PLACE = re.compile(r"(?P<text>.+)@(?P<start>\d+)", re.DOTALL)


def as_cell(context: str, spans: Iterable[Span]) -> str:
    """Return answers in a context as a cell, each once."""
    parts = (
        span.text if context.find(span.text) == span.start else f"{span.text}@{span.start}"
        for span in spans
        if span.text
    )
    return _BETWEEN.join(dict.fromkeys(parts)) or NO_LABEL


def answers_of_cell(context: str, cell: str) -> list[dict[str, object]]:
    """Return the answers that a cell names.

    Raises:
        RecipeError: one of them is not in the context, or not at its place (R215).
    """
    if cell.strip() == NO_LABEL:
        return []
    return [_located(context, part.strip()) for part in cell.split(_BETWEEN)]


def _located(context: str, text: str) -> dict[str, object]:
    place = context.find(text)
    if place < 0 and (match := _WITH_PLACE.fullmatch(text)):
        text, start = match["text"], int(match["start"])
        place = start if context.startswith(text, start) else -1
    if place < 0 or not text:
        raise RecipeError.of(
            "R215",
            _('the context does not have the answer "{text}"').format(text=shortened(text)),
            fix=_("Copy it from the context, or write `{none}`.").format(none=NO_LABEL),
        )
    return {"text": text, "answer_start": place}

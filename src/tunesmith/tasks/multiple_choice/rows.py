"""Rows with a question and its choices: what is wrong with them, and their token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.tasks.multiple_choice.choice_kind import letter
from tunesmith.text import quoted, shortened

__all__ = ["Question", "encode_questions", "place_of", "read_question", "validate_question"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a model reads of a row.

    Attributes:
        first: the context, or the question where there is none; it is cut if the row is too long.
        second: what is between it and each choice: the question where there is a context.
        choices: the texts to choose from.
    """

    first: str
    second: str
    choices: Sequence[str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What the tokenizer gets for each choice."""
        start = f"{self.second} " if self.second else ""
        return [(self.first, start + choice) for choice in self.choices]


def read_question(row: Row, roles: Roles) -> Question:
    """Return the question of a valid row."""
    choices: Any = row.values[str(roles.text_pair)]
    question = row.values[roles.text]
    context = None if roles.context is None else row.values.get(roles.context)
    if context is None or not str(context).strip():
        return Question(str(question), "", choices)
    return Question(str(context), "" if question is None else str(question), choices)


def place_of(row: Row, roles: Roles) -> int | None:
    """Return which choice is right, from 0; None for no label, also where it is no number."""
    value = row.values.get(str(roles.label))
    is_place = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if is_place and isinstance(value, int) else None


def validate_question(row: Row, roles: Roles, most: int) -> Finding | None:
    """Return what is wrong with a row.

    Args:
        row: to check.
        roles: which column is what.
        most: choices that an answer can be one of; 0 for any number.
    """
    texts = [row.values.get(name) for name in (roles.context, roles.text) if name is not None]
    if not any(isinstance(text, str) and text.strip() for text in texts):
        return Finding("D310", _("the text is empty"), _("Complete or remove the row."))
    choices = row.values.get(str(roles.text_pair))
    if finding := _of_choices(choices, most):
        return finding
    assert isinstance(choices, list | tuple)  # noqa: S101 - it was checked
    return _of_label(row.values.get(str(roles.label)), choices)


def _of_choices(choices: object, most: int) -> Finding | None:
    fix = _("Write them like {example}.").format(example='["red", "green"]')
    if not isinstance(choices, list | tuple):
        shown = shortened(str(choices))
        return Finding("D368", _("not a list of choices: {value}").format(value=shown), fix)
    seen: dict[str, int] = {}
    for number, choice in enumerate(choices):
        if not isinstance(choice, str) or not choice.strip():
            message = _("choice {letter} is {value}, not text")
            message = message.format(letter=letter(number), value=shortened(repr(choice)))
            return Finding("D368", message, _("Complete or remove the row."))
        first = seen.setdefault(choice.strip(), number)
        if first != number:
            message = _('choices {one} and {two} are both "{text}"').format(
                one=letter(first), two=letter(number), text=shortened(choice.strip())
            )
            return Finding("D357", message, _("Correct or remove the row."))
    if len(choices) < 2:
        message = ngettext("{count} choice", "{count} choices", len(choices))
        return Finding(
            "D357", message.format(count=len(choices)), _("Give each row two choices or more.")
        )
    if most and len(choices) > most:
        message = _("{count} choices; this model answers up to {most}")
        return Finding(
            "D369",
            message.format(count=len(choices), most=most),
            _("Leave some out, or train with rows of as many."),
        )
    return None


def _of_label(label: object, choices: Sequence[str]) -> Finding | None:
    if label is None or label == -1:
        return None
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(choices):
        return None
    known = getattr(label, "known", None) or [str(i) for i in range(len(choices))]
    message = _('the label is "{label}"; the choices are {known}').format(
        label=shortened(str(label)), known=quoted(list(known), at_most=10)
    )
    return Finding("D356", message, _("Correct the label, or remove the row."))


def encode_questions(
    questions: Sequence[Question], tokenizer: Any, max_length: int
) -> tuple[dict[str, Ragged], NDArray[np.int64], NDArray[np.int64]]:
    """Tokenize each choice with its question.

    Where both are too long, the first text is cut at its end; if nothing of it is left, the
    question is cut at its beginning. What is next to the end of the choice stays.

    Returns:
        "input_ids" and, if the model takes them, "token_type_ids", a sequence for each choice; how
        many sequences each row has, shape (n,); and their tokens before the cut, shape (n,).
    """
    pairs = [pair for question in questions for pair in question.pairs]
    parts = np.array([len(question.choices) for question in questions], dtype=np.int64)
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(pairs)
    full = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
    retained = [_kept(encoding, max_length) for encoding in encodings]
    lengths = np.array([len(places) for places in retained], dtype=np.int64)
    narrow = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32

    def ragged(name: str, kind: Any) -> Ragged:
        values = [
            getattr(encoding, name)[place]
            for encoding, places in zip(encodings, retained, strict=True)
            for place in places
        ]
        return Ragged(np.array(values, dtype=kind), lengths)

    inputs = {"input_ids": ragged("ids", narrow)}
    if "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = ragged("type_ids", np.uint8)
    ends = np.cumsum(np.append(0, full))[np.cumsum(np.append(0, parts))]
    return inputs, parts, np.diff(ends)


def _kept(encoding: Any, max_length: int) -> Sequence[int]:
    """Return the places of the tokens that are retained."""
    excess = len(encoding) - max_length
    if excess <= 0:
        return range(len(encoding))
    owners = encoding.sequence_ids
    first = [place for place, owner in enumerate(owners) if owner == 0]
    second = [place for place, owner in enumerate(owners) if owner == 1]
    from_first = min(excess, len(first))
    dropped = {*first[len(first) - from_first :], *second[: excess - from_first]}
    return [place for place in range(len(encoding)) if place not in dropped]

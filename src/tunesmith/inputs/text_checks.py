"""Odd texts: invisible characters, columns without texts, pairs with swapped columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tunesmith.data.findings import Finding
from tunesmith.data.profile import as_number
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["TextColumn", "column_problems", "odd_text", "swapped_problems"]

_UNSEEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
"""Direction marks and characters of width zero, but for the joiners of scripts and emoji."""
_ID = re.compile(r"(?=\S*\d)[\w:./-]{1,64}", re.ASCII)
"""ASCII letters only: Chinese, Japanese and Thai sentences have no spaces either."""
_LONG_CHARACTERS = 1_000_000
_MOST_DISTINCT = 50
_FEW_ROWS = 20
"""Fewer rows prove nothing about a column."""


def odd_text(text: str) -> Finding | None:
    """Return what is odd about a text that is not empty, None if nothing."""
    if text.isascii() and text.isprintable() and len(text) <= _LONG_CHARACTERS:
        return None
    if not text.strip().isprintable() and not any(sign.isprintable() for sign in text.strip()):
        return Finding(
            "D312",
            _("the text holds only control characters"),
            fix=_("Complete or remove the row."),
            severity=Severity.WARNING,
        )
    if len(text) > _LONG_CHARACTERS:
        return Finding(
            "D150",
            _("a text of more than {limit} million characters").format(
                limit=_LONG_CHARACTERS // 1_000_000
            ),
            fix=_("Is a quote open? A model reads the first few thousand characters at most."),
            severity=Severity.WARNING,
        )
    if invisible := _UNSEEN.search(text):
        return Finding(
            "D321",
            _("the text has invisible characters, such as {character}").format(
                character=f"\\u{ord(invisible[0]):04x}"
            ),
            fix=_("Remove them if they mean nothing."),
            severity=Severity.WARNING,
        )
    return None


@dataclass
class TextColumn:
    """Statistics of the texts of a column."""

    rows: int = 0
    characters: int = 0
    questions: int = 0
    numbers: int = 0
    ids: int = 0
    distinct: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Add a text."""
        self.rows += 1
        self.characters += len(text)
        self.questions += text.rstrip().endswith(("?", "？"))
        if len(text) <= 64 and _ID.fullmatch(text):
            self.ids += 1
            self.numbers += as_number(text) is not None
        if len(self.distinct) < _MOST_DISTINCT:
            self.distinct.add(text)

    @property
    def is_constant(self) -> bool:
        """Whether all rows have the same text."""
        return self.rows > 1 and len(self.distinct) == 1


def column_problems(columns: Mapping[str, TextColumn], place: Place) -> Iterator[Problem]:
    """Yield the problems of columns without proper texts."""
    if columns and all(column.is_constant for column in columns.values()):
        rows = next(iter(columns.values())).rows
        yield Problem(
            "D314",
            _("all {count} rows have the same text; nothing to learn").format(count=rows),
            place,
            fix=_("Name another column with --text."),
            count=rows,
        )
        return
    for name, column in columns.items():
        if column.rows < _FEW_ROWS:
            continue
        if column.is_constant:
            message = _('every row has the same text in "{column}"').format(column=name)
            yield _warning("D314", message, place)
        elif column.numbers == column.rows:
            yield _warning("D313", _('"{column}" holds only numbers').format(column=name), place)
        elif column.ids * 10 >= column.rows * 9:
            message = _('"{column}" looks like an id, not like text').format(column=name)
            yield _warning("D315", message, place)


def _warning(code: str, message: str, place: Place) -> Problem:
    return Problem(
        code,
        message,
        place,
        fix=_("If it is not the text, name the column with --text or --text-pair."),
        severity=Severity.WARNING,
    )


def swapped_problems(
    train: Mapping[str, TextColumn], other: Mapping[str, TextColumn], place: Place
) -> Iterator[Problem]:
    """Yield a problem if the two columns of a pair seem to be swapped."""
    if len(train) != 2:
        return
    ours, theirs = list(train.values()), list(other.values())
    if min(column.rows for column in (*ours, *theirs)) < _FEW_ROWS:
        return
    lengths = [[c.characters / c.rows for c in pair] for pair in (ours, theirs)]
    questions = [[c.questions / c.rows for c in pair] for pair in (ours, theirs)]
    by_length = all(max(pair) > 1.5 * min(pair) for pair in lengths)
    by_questions = all(max(pair) - min(pair) > 0.5 for pair in questions)
    swapped = [(a > b) != (c > d) for (a, b), (c, d) in (lengths, questions)]
    if (by_length and swapped[0]) or (by_questions and swapped[1]):
        first, second = train
        yield Problem(
            "D333",
            _('"{first}" and "{second}" seem to be swapped here').format(
                first=first, second=second
            ),
            place,
            evidence=(
                _("mean characters: in train {a:.0f} and {b:.0f}, here {c:.0f} and {d:.0f}").format(
                    a=lengths[0][0], b=lengths[0][1], c=lengths[1][0], d=lengths[1][1]
                ),
            ),
            fix=_("If so, swap the names in the header of one file."),
            severity=Severity.WARNING,
        )

"""Errors for people: a code, a place, the value seen, what to do; and the exit codes.

    error D301 recipe.yaml:7:10: no column "lable" in tickets.csv
      7 |   label: lable
        |          ^^^^^  did you mean "label"?
      columns: id, body, label, created_at

`TunesmithError` and its subclasses are for the user. Every other exception is a bug of Tunesmith
and exits with 70.
"""

from __future__ import annotations

import difflib
import heapq
import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext

__all__ = [
    "ArgumentError",
    "DataError",
    "DatasetError",
    "FolderInUseError",
    "IntegrityError",
    "Interrupted",
    "ModelError",
    "Place",
    "Problem",
    "RecipeError",
    "ResourceError",
    "Severity",
    "TunesmithError",
    "escape_controls",
    "first_problems",
    "nearest",
    "quoted",
    "redact",
    "shell_quoted",
    "shortened",
]


class Severity(StrEnum):
    """How bad a problem is: an error stops, a warning is shown, a note informs."""

    ERROR = N_("error")
    WARNING = N_("warning")
    NOTE = N_("note")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a file with line and column (both from 1), or a row of a data set."""

    source: str
    line: int | None = None
    column: int | None = None
    row: int | None = None

    def __str__(self) -> str:
        if self.row is not None:
            return f"{self.source}[{self.row}]"
        return ":".join(
            str(part) for part in (self.source, self.line, self.column) if part is not None
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as it is told to a person and to `--json`.

    Attributes:
        code: a letter for the kind (R recipe, D data, C run folder, M model and machine) and a
            number; the same in every language.
        message: what is wrong, with the value seen.
        place: where, if it has a place.
        evidence: lines that show it, such as the line of the recipe with a caret.
        fix: what to do about it.
        count: how many rows it concerns, if it is about rows.
        row_numbers: which rows of the place's source, from 0, as far as they are listed.
        flags: options that fix it, as they are typed behind the same command.
    """

    code: str
    message: str
    place: Place | None = None
    evidence: tuple[str, ...] = ()
    fix: str | None = None
    severity: Severity = Severity.ERROR
    count: int | None = None
    row_numbers: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f" {self.place}" if self.place else ""
        lines = [f"{_(self.severity)} {self.code}{place}: {self.message}"]
        lines += [f"  {line}" for line in self.evidence]
        if self.fix:
            lines += [f"  {line}" for line in self.fix.split("\n")]
        return redact("\n".join(escape_controls(line, keep="\t") for line in lines))

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        return {
            "severity": str(self.severity),
            "code": self.code,
            "place": redact(str(self.place)) if self.place else None,
            "message": redact(self.message),
            "evidence": [redact(line) for line in self.evidence],
            "fix": redact(self.fix) if self.fix else None,
            "count": self.count,
            "row_numbers": list(self.row_numbers),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Problem:
        """The problem that `as_json` wrote; its place comes back as text."""
        place = values["place"]
        return cls(
            values["code"],
            values["message"],
            None if place is None else Place(place),
            tuple(values["evidence"]),
            values["fix"],
            Severity(values["severity"]),
            values["count"],
            tuple(values["row_numbers"]),
        )


def first_problems(problems: Iterable[Problem], *, at_most: int = 20) -> list[Problem]:
    """The first of many problems, then one that counts the others.

    Args:
        problems: of one kind; all of them are looked at.
        at_most: so many are told one by one.
    """
    remaining = iter(problems)
    first = list(islice(remaining, at_most))
    if more := sum(1 for _problem in remaining):
        message = ngettext("{count} more such problem", "{count} more such problems", more)
        place = first[-1].place
        first.append(
            Problem(
                first[-1].code,
                message.format(count=more),
                Place(place.source) if place else None,
                severity=first[-1].severity,
            )
        )
    return first


class TunesmithError(Exception):
    """Something a person can mend. Carries every problem found, not only the first."""

    exit_code = 70

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: the message, without the way through our code."""
        return str(self).split("\n")


class RecipeError(TunesmithError):
    """Wrong usage or recipe."""

    exit_code = 2


class DataError(TunesmithError):
    """The data cannot be used as it is."""

    exit_code = 3


class ArgumentError(RecipeError, ValueError):
    """Wrong arguments of a call from Python: a ValueError too, which scripts expect of them."""


class DatasetError(DataError, ValueError):
    """A data set passed to a call from Python cannot be used: a ValueError too."""


class ModelError(TunesmithError):
    """The named model cannot be used: wrong name, wrong kind, unsafe."""

    exit_code = 2


class ResourceError(TunesmithError):
    """Memory, disk, device, a missing extra, or a Hub that cannot be reached."""

    exit_code = 4


class FolderInUseError(TunesmithError):
    """Another process holds the run folder."""

    exit_code = 5


class IntegrityError(TunesmithError):
    """Damage, divergence, or a result that would not be what was asked."""

    exit_code = 6


class Interrupted(TunesmithError):
    """Stopped on request after saving; the same command continues. 130 after Ctrl-C, else 75."""

    exit_code = 75

    def __init__(self, problems: Problem | Iterable[Problem], *, by_keyboard: bool = False) -> None:
        super().__init__(problems)
        if by_keyboard:
            self.exit_code = 130


_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Kinds of characters, by Unicode, that do something instead of being seen."""

_HARMLESS = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Of these kinds all the same: joiners, which emoji and whole scripts need, and Arabic signs."""


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""The text with every character that steers instead of being seen spelt as JSON spells it.

    These are controls (escape, line breaks), what turns the direction of writing, what has no
    width, and halves of surrogate pairs: "\u001b", "\u202e". Text that is all seen stays itself,
    and JSON keeps its meaning.

    Args:
        text: of the data, or something that holds such text.
        keep: controls that stay: "\n" in a whole page.
    """
    if text.isprintable():
        return text
    return "".join(
        sign
        if sign.isprintable() or sign in keep or sign in _HARMLESS or not _steers(sign)
        else _spelt(sign)
        for sign in text
    )


def _steers(sign: str) -> bool:
    return unicodedata.category(sign) in _STEERING


def _spelt(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


_MOST_RANKED = 20_000
"""So many known words are looked at, whoever asks."""
_MOST_COMPARED = 64
"""So many of them are compared letter by letter, which takes a hundred times as long."""
_LONGEST_WORD = 120
"""A longer word is no slip of the pen, and comparing takes the square of the length."""


def nearest(word: str, known: Iterable[str], *, how_many: int = 1) -> list[str]:
    """The known words closest to `word`, best first, none if nothing is close (case ignored).

    Close is a ratio of matching blocks of 0.6 or more, by `difflib`. Of more than 64 known words
    only the 64 that share most letters and pairs of letters are compared.
    """
    folded = word.casefold()
    if len(folded) > _LONGEST_WORD:
        return []
    by_folded = {
        candidate.casefold(): candidate
        for candidate in islice(known, _MOST_RANKED)
        if len(candidate) <= _LONGEST_WORD
    }
    candidates: Iterable[str] = by_folded
    if len(by_folded) > _MOST_COMPARED:
        candidates = _sharing_letters(folded, by_folded)
    close = difflib.get_close_matches(folded, candidates, n=how_many, cutoff=0.6)
    return [by_folded[folded] for folded in close]


def _sharing_letters(word: str, known: Iterable[str]) -> list[str]:
    """The known words that share most letters and pairs of letters, for their length."""
    parts = {*word, *(word[i : i + 2] for i in range(len(word) - 1))}

    def overlap(candidate: str) -> float:
        return sum(part in candidate for part in parts) / (len(word) + len(candidate) + 1)

    return heapq.nlargest(_MOST_COMPARED, known, key=overlap)


def quoted(words: Sequence[object], *, at_most: int = 20) -> str:
    """The words in quotes and joined by commas, the rest counted: '"a", "b" … (5 more)'."""
    shown = ", ".join(f'"{escape_controls(str(word))}"' for word in words[:at_most])
    if len(words) > at_most:
        shown += " … " + _("({count} more)").format(count=len(words) - at_most)
    return shown


def shell_quoted(argument: object) -> str:
    """A path or name as one types it behind a command, in quotes where a shell needs them."""
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([str(argument)])
    return shlex.quote(str(argument))


def shortened(text: str, *, at_most: int = 80) -> str:
    """The text on one line, cut to `at_most` characters."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= at_most else one_line[: at_most - 1] + "…"


_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{8,}")
_USER_OF_URL = re.compile(r"://(?:[^\s/]*:\S*|[^\s/]+)@")
"""User and password of an address, also with signs in them that should be escaped there."""


def redact(text: str) -> str:
    """The text with Hugging Face access tokens, and users and passwords in addresses, masked."""
    return _USER_OF_URL.sub("://…@", _TOKEN.sub(r"\1_…", text))

"""Errors for the user: a code, a place, the value seen, what to do; and the exit codes.

    error D301 recipe.yaml:7:10: no column "lable" in tickets.csv
      7 |   label: lable
        |          ^^^^^  did you mean "label"?
      columns: id, body, label, created_at

`TunesmithError` and its subclasses are for the user. Every other exception is a bug of Tunesmith
and exits with 70.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Self

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext
from tunesmith.text import escape_controls, redact

__all__ = [
    "ArgumentError",
    "DataError",
    "DatasetError",
    "FolderInUseError",
    "IntegrityError",
    "Interrupted",
    "ModelError",
    "PeerError",
    "Place",
    "Problem",
    "RecipeError",
    "ResourceError",
    "RestartError",
    "ScoreError",
    "Severity",
    "TunesmithError",
    "first_problems",
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
    """One thing that is wrong, as the terminal and `--json` report it.

    Attributes:
        code: a letter for the kind (R recipe, D data, C run folder, M model and machine) and a
            number; the same in every language.
        message: what is wrong, with the value seen.
        place: where, if it has a place.
        evidence: lines that show it, such as the line of the recipe with a caret.
        fix: what to do about it.
        count: how many rows it concerns, if it is about rows.
        row_numbers: which rows of the place's source, from 0, as far as they are listed.
        flags: options that fix it, to append to the same command.
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
        """Return the problem as a JSON object."""
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
        """Read a problem that `as_json` wrote; its place comes back as text."""
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
    """Return the first of many problems, then one that counts the others.

    Args:
        problems: of one kind.
        at_most: how many are listed one by one.
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
    """Something the user can fix. Carries every problem, not only the first.

    Attributes:
        problems: all of them.
        exit_code: of the command line.
    """

    exit_code = 70

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        place: Place | None = None,
        evidence: tuple[str, ...] = (),
        fix: str | None = None,
        *,
        count: int | None = None,
        flags: tuple[str, ...] = (),
    ) -> Self:
        """Return the error of a single `Problem`, whose attributes these are."""
        return cls(Problem(code, message, place, evidence, fix, count=count, flags=flags))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied to another process without `__init__`, whose arguments subclasses change."""
        return _restored, (type(self), self.args, self.__dict__)

    def _render_traceback_(self) -> list[str]:
        """Show only the message in IPython, without a traceback."""
        return str(self).split("\n")


def _restored(
    kind: type[TunesmithError], arguments: tuple[object, ...], attributes: dict[str, Any]
) -> TunesmithError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class RecipeError(TunesmithError):
    """Wrong usage or recipe."""

    exit_code = 2


class DataError(TunesmithError):
    """The data cannot be used."""

    exit_code = 3


class ArgumentError(RecipeError, ValueError):
    """Wrong arguments of a call from Python; a ValueError too, as scripts expect."""


class DatasetError(DataError, ValueError):
    """A data set passed from Python cannot be used; a ValueError too, as scripts expect."""


class ModelError(TunesmithError):
    """The named model cannot be used: wrong name, wrong kind, unsafe."""

    exit_code = 2


class ResourceError(TunesmithError):
    """Memory, disk, device, a missing extra, or a Hub that cannot be reached."""

    exit_code = 4


class RestartError(TunesmithError):
    """A launcher restarts a run that does not advance."""

    exit_code = 1


class ScoreError(TunesmithError):
    """A score is worse than required."""

    exit_code = 1


class FolderInUseError(TunesmithError):
    """Another process holds the run folder."""

    exit_code = 5


class IntegrityError(TunesmithError):
    """Damage, divergence, or a result other than the one requested."""

    exit_code = 6


class Interrupted(TunesmithError):
    """Stopped on request after saving; the same command continues. 130 after Ctrl-C, else 75."""

    exit_code = 75

    def __init__(self, problems: Problem | Iterable[Problem], *, by_keyboard: bool = False) -> None:
        super().__init__(problems)
        if by_keyboard:
            self.exit_code = 130


class PeerError(TunesmithError):
    """Another process of the job failed, with its exit code; 75 if it ended without a message.

    Attributes:
        is_silent: whether it did not answer, so that it may run yet.
    """

    exit_code = 75

    def __init__(
        self,
        problems: Problem | Iterable[Problem],
        *,
        exit_code: int = exit_code,
        is_silent: bool = False,
    ) -> None:
        super().__init__(problems)
        self.exit_code = exit_code
        self.is_silent = is_silent

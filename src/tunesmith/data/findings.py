"""Findings: problems of rows, grouped by kind and reported once with a count and places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tunesmith.data.rows import BadRecordsError, Rejected, Source
from tunesmith.errors import DataError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import escape_controls

__all__ = ["BadRecords", "Finding", "Findings", "placed", "unwritable_in"]

_SHOWN = 5
_MOST_BITS = 14_000
"""Python turns numbers of up to 4,300 digits into text."""
_MOST_KINDS = 10
"""Fixes of one code that are reported separately; further rows are one group."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one row; rows with the same code and fix are reported together."""

    code: str
    message: str
    fix: str | None = None
    severity: Severity = Severity.ERROR


def placed(error: DataError, source: Source) -> DataError:
    """Return an error with the places of rows that it names by their numbers only."""
    problems = []
    for problem in error.problems:
        place = problem.place
        if place is not None and not place.source and place.row is not None:
            known = source.places([place.row])
            place = known.get(place.row, Place(source.name, row=place.row))
        problems.append(replace(problem, place=place))
    return DataError(problems)


@dataclass
class _Kind:
    first: Finding
    rows: list[int] = field(default_factory=list)
    count: int = 0


@dataclass
class Findings:
    """All findings of one source. Holds a few row numbers per kind, however many rows are bad."""

    source: Source
    _kinds: dict[tuple[str, str | None], _Kind] = field(default_factory=dict)

    def add(self, row: int, finding: Finding) -> None:
        """Add a finding about the row with this index."""
        key = (finding.code, finding.fix)
        if key not in self._kinds:
            same_code = sum(code == finding.code for code, _fix in self._kinds)
            key = key if same_code < _MOST_KINDS else (finding.code, None)
        kind = self._kinds.setdefault(key, _Kind(finding))
        kind.count += 1
        if len(kind.rows) < _SHOWN:
            kind.rows.append(row)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def problems(self) -> Iterator[Problem]:
        """Yield one problem per kind: the first place, the count, and a few more places."""
        shown = {row for kind in self._kinds.values() for row in kind.rows}
        places = self.source.places(shown) if shown else {}
        for kind in self._kinds.values():
            finding = kind.first
            where = [places.get(row, Place(self.source.name, row=row)) for row in kind.rows]
            message = finding.message
            if kind.count > 1:
                message += " " + ngettext("({count} row)", "({count} rows)", kind.count).format(
                    count=kind.count
                )
            evidence: tuple[str, ...] = ()
            if len(where) > 1:
                also = ", ".join(str(place) for place in where[1:])
                more = ", …" if kind.count > len(where) else ""
                evidence = (_("also {places}").format(places=also + more),)
            yield Problem(
                finding.code,
                message,
                where[0],
                evidence=evidence,
                fix=finding.fix,
                severity=finding.severity,
                count=kind.count,
            )


@dataclass
class BadRecords(Findings):
    """The records of a source that cannot be read."""

    records: list[Rejected] = field(default_factory=list)

    def reject(self, index: int, finding: Finding, place: Place) -> None:
        """Add a record."""
        self.add(index, finding)
        self.records.append(Rejected(place, finding.code, finding.message))

    def raise_if_any(self) -> None:
        """Raise a `BadRecordsError` with all of them."""
        if self.records:
            raise BadRecordsError(self.problems(), self.records)


def unwritable_in(record: Mapping[str, object]) -> Finding | None:
    """Return what is wrong with a record that cannot be written as UTF-8, None if nothing.

    It has a lone surrogate, or a number that Python does not turn into text.
    """
    for key, value in record.items():
        if _has_endless_number(value):
            fix = _("Write it as text, in quotes.")
            return Finding("D140", _("a number of thousands of digits"), fix)
        if _has_half_character(key) or _has_half_character(value):
            message = _('half of a character (lone surrogate) in "{name}"').format(
                name=escape_controls(str(key))
            )
            return Finding("D142", message, _("Complete or remove the row."))
    return None


def _has_endless_number(value: object) -> bool:
    if isinstance(value, int):
        return value.bit_length() > _MOST_BITS
    if isinstance(value, Mapping):
        return any(map(_has_endless_number, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_endless_number, value))


def _has_half_character(value: object) -> bool:
    if isinstance(value, str):
        return not value.isascii() and re.search("[\ud800-\udfff]", value) is not None
    if isinstance(value, Mapping):
        return any(_has_half_character(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(map(_has_half_character, value))

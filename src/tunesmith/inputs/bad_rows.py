"""What becomes of bad rows: they stop everything, or they are left out and told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.data.rows import Rejected, Source
from tunesmith.data.scan import Survey, content_of
from tunesmith.data.without import FilteredSource
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["Kept", "keep"]


@dataclass(frozen=True)
class Kept:
    """What is left of a source.

    Attributes:
        source: the rows to use.
        digest: of their content.
        num_rows: how many they are.
        problems: what is wrong with the others: errors, or warnings if they are left out.
        rejected: the others, if they are to be written down.
    """

    source: Source
    digest: str
    num_rows: int
    problems: Sequence[Problem]
    rejected: Sequence[Rejected] = ()


def keep(survey: Survey, on_bad_row: str) -> Kept:
    """Leave bad rows out, if that is wanted and good ones remain.

    Args:
        survey: of all rows.
        on_bad_row: "fail", "skip" or "quarantine".
    """
    problems, source = survey.problems(), survey.source
    num_good = survey.num_rows - len(survey.bad)
    is_spoilt = survey.reading_problems and not survey.unreadable
    if on_bad_row == "fail" or is_spoilt or not num_good:
        return Kept(source, survey.digest, survey.num_rows, problems)
    if not survey.bad and not survey.unreadable:
        return Kept(source, survey.digest, survey.num_rows, problems)
    told = [
        replace(
            problem,
            message=_("left out: {message}").format(message=problem.message),
            severity=Severity.WARNING,
        )
        if problem.severity is Severity.ERROR
        else problem
        for problem in problems
    ]
    rest = FilteredSource(source, frozenset(survey.bad), survey.columns)
    return Kept(
        rest,
        _digest(rest, survey.columns),
        num_good,
        told,
        _rejected(survey) if on_bad_row == "quarantine" else (),
    )


def _digest(rest: Source, columns: Sequence[str]) -> str:
    """The hash of what is left; it takes another reading."""
    digest = hashlib.sha256()
    for chunk in rest.chunks(columns):
        for row in chunk:
            digest.update(content_of(row, columns))
    return digest.hexdigest()


def _rejected(survey: Survey) -> list[Rejected]:
    """Every bad row with its place and values, then every record that cannot be read."""
    places = survey.source.places(survey.bad) if survey.bad else {}
    values = {
        row.index: row.values for row in survey.all_rows(survey.columns) if row.index in survey.bad
    }
    rows = [
        Rejected(
            places.get(index, Place(survey.source.name, row=index)),
            finding.code,
            finding.message,
            values.get(index),
        )
        for index, finding in survey.bad.items()
    ]
    return [*rows, *survey.unreadable]

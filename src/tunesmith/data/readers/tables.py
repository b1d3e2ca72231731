"""What files with a row per line share: names of columns, places of rows, ragged records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tunesmith.data.rows import BadRecordsError, Rejected
from tunesmith.errors import Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import shortened

__all__ = ["RaggedRows", "column_names", "line_places"]

_SHOWN = 5


def column_names(header: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Name the columns as pandas does: one without a name is "Unnamed: 0".

    Columns at the end that have neither name nor value are left out.

    Args:
        header: the fields of the first record.
        rows: some of the following ones.
    """
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:
        if any(row[len(names) - 1].strip() for row in rows if len(row) >= len(names)):
            break
        names.pop()
    return tuple(name or f"Unnamed: {i}" for i, name in enumerate(names))


def line_places(source: str, lines: Iterable[int], indices: Collection[int]) -> dict[int, Place]:
    """Return the places of some rows.

    Args:
        source: the path of the file.
        lines: the line of every row, in order.
        indices: the numbers of the rows, from 0.
    """
    remaining = set(indices)
    places: dict[int, Place] = {}
    for index, line in enumerate(lines if remaining else ()):
        if index in remaining:
            places[index] = Place(source, line)
            remaining.remove(index)
            if not remaining:
                break
    return places


class RaggedRows:
    """Collects the records of a table with more or fewer fields than its header."""

    def __init__(self, width: int, delimiter: str, *, fix_if_wide: str) -> None:
        """Start without records.

        Args:
            width: fields of the header.
            delimiter: shown between fields in messages.
            fix_if_wide: the fix if the first record has more fields.
        """
        self._width = width
        self._delimiter = delimiter
        self._fix_if_wide = fix_if_wide
        self._records: list[Rejected] = []
        self._first_is_wide = False

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, place: Place, fields: Sequence[str]) -> None:
        """Add a record."""
        if not self._records:
            self._first_is_wide = len(fields) > self._width
        reason = ngettext(
            '{count} field, the header has {width}: "{text}"',
            '{count} fields, the header has {width}: "{text}"',
            len(fields),
        ).format(
            count=len(fields),
            width=self._width,
            text=shortened(self._delimiter.join(fields)[:1000]),
        )
        self._records.append(Rejected(place, "D110", reason))

    def error(self) -> BadRecordsError:
        """Return the error that lists them (D110)."""
        first, *others = self._records
        message = first.reason
        if others:
            count = len(self._records)
            message += " " + ngettext("({count} row)", "({count} rows)", count).format(count=count)
        also = ", ".join(str(record.place) for record in others[: _SHOWN - 1])
        problem = Problem(
            first.code,
            message,
            first.place,
            evidence=(_("also {places}").format(places=also),) if also else (),
            fix=self._fix_if_wide if self._first_is_wide else _("Complete or remove the row."),
            count=len(self._records),
        )
        return BadRecordsError([problem], self._records)

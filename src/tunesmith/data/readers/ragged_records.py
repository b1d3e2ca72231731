"""Records with more or fewer fields than the header: told together, with the first places."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.data.rows import BadRecordsError, Rejected
from tunesmith.errors import Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import shortened

__all__ = ["RaggedRows"]

_SHOWN = 5


class RaggedRows:
    """Collects the records of a table that have another width than its header."""

    def __init__(self, width: int, delimiter: str, *, fix_if_wide: str) -> None:
        """Expect records of some width.

        Args:
            width: fields of the header.
            delimiter: what to show between fields.
            fix_if_wide: what to do about a record of more fields.
        """
        self._width = width
        self._delimiter = delimiter
        self._fix_if_wide = fix_if_wide
        self._records: list[Rejected] = []
        self._first_is_wide = False

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, place: Place, fields: Sequence[str]) -> None:
        """Note one such record."""
        if not self._records:
            self._first_is_wide = len(fields) > self._width
        reason = ngettext(
            '{found} field, the header has {wanted}: "{text}"',
            '{found} fields, the header has {wanted}: "{text}"',
            len(fields),
        ).format(
            found=len(fields),
            wanted=self._width,
            text=shortened(self._delimiter.join(fields)[:1000]),
        )
        self._records.append(Rejected(place, "D110", reason))

    def error(self) -> BadRecordsError:
        """The error that names them (D110)."""
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

"""CSV and TSV: every field is text, nothing counts as missing, bad rows are named by their line."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from tunesmith.data.readers.dialect import Dialect, dialect_of, shown_delimiter
from tunesmith.data.readers.ragged_records import RaggedRows
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import AUTO, TextFile
from tunesmith.data.rows import (
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    Column,
    Row,
    distinct_columns,
    in_chunks,
    too_long,
    too_many_columns,
)
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import quoted, shortened

__all__ = ["DelimitedFile", "column_names"]

_END = "\0"
"""A line of its own behind the last one: no text file holds it, and an open quote swallows it."""

csv.field_size_limit(1 << 30)


class _EndlessRowError(Exception):
    """A record grew beyond all bounds."""


@dataclass(frozen=True)
class DelimitedFile:
    """A checked CSV or TSV file.

    Attributes:
        text: the file.
        dialect: how its lines become fields.
        columns: from the header, each name once; empty columns at the end are dropped.
        names: the name of each field of a record that is read, in order.
        width: fields in a full record, dropped ones included.
        notes: what is worth saying about it.
        has_header: whether the first record names the columns.
    """

    text: TextFile
    dialect: Dialect
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    width: int
    notes: tuple[str, ...] = ()
    has_header: bool = True

    @property
    def name(self) -> str:
        """The path."""
        return str(self.text.path)

    @property
    def delimiter(self) -> str:
        """The character between fields."""
        return self.dialect.delimiter

    @property
    def detected(self) -> dict[str, str]:
        """What was found out about its encoding and delimiter, by the keys of a recipe."""
        found = {"delimiter": self.delimiter} if self.dialect.is_detected else {}
        return {**self.text.detected, **found}

    @classmethod
    def open(
        cls, text: TextFile, delimiter: str | None, header: Sequence[str] | None = None
    ) -> DelimitedFile:
        """Read the first record.

        Args:
            text: the file.
            delimiter: None or "auto" for what the suffix or the first lines say.
            header: names of the columns, if the first record is a row like the others.

        Raises:
            DataError: no record (D121), a wrong delimiter (D112), too many columns (D116), names
                that do not fit the first record (D114), or a line without end (D150).
        """
        if text.endless_line is not None:
            raise DataError(_endless(text, text.endless_line, text.endless_line))
        dialect = dialect_of(text, delimiter, None if header is None else len(header))
        line, first = next(_records(text, dialect), (1, []))
        place = Place(str(text.path), line)
        if not first:
            raise DataError(Problem("D121", _("the file has no header line"), place))
        if len(first) > MAX_COLUMNS:
            raise DataError(too_many_columns(len(first), place))
        notes = list(text.notes)
        if dialect.is_detected:
            note = _('{file}: fields are separated by "{delimiter}" (detected)')
            notes.append(note.format(file=text.path, delimiter=shown_delimiter(dialect.delimiter)))
        if header is not None:
            if problem := _misfit(first, header, place, dialect):
                raise DataError(problem)
            names, has_header = tuple(header), False
        else:
            if delimiter not in (None, AUTO) and (problem := _wrong_delimiter(first, text, place)):
                raise DataError(problem)
            names, has_header = column_names(first, dialect.sample[1:]), True
            if len(names) < len(first):
                note = _("{file}: empty columns at the end are left out")
                notes.append(note.format(file=text.path))
        columns = distinct_columns([Column(name, "text") for name in names])
        return cls(text, dialect, columns, names, len(first), tuple(notes), has_header)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows; then a `DataError` if records were ragged (D110).

        Raises:
            DataError: a quote is never closed (D111), or a row has no end (D150).
        """
        fix = _('Quote texts that contain the delimiter: "like, this".')
        ragged = RaggedRows(self.width, self.delimiter, fix_if_wide=fix)
        yield from in_chunks(self._good_rows(columns, ragged))
        if ragged:
            raise ragged.error()

    def _good_rows(
        self, columns: Collection[str] | None, ragged: RaggedRows
    ) -> Iterator[tuple[Row, int]]:
        """The rows of full width, each with its size; the others go to `ragged`."""
        wanted = [
            (column.name, self.names.index(column.name))
            for column in self.columns
            if columns is None or column.name in columns
        ]
        index = 0
        for line, record in self._rows():
            if len(record) == self.width:
                yield Row(index, {name: record[i] for name, i in wanted}), sum(map(len, record))
                index += 1
            else:
                ragged.add(Place(self.name, line), record)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """The lines on which some rows begin."""
        lines: dict[int, Place] = {}
        wanted = set(indices)
        good = (line for line, record in self._rows() if len(record) == self.width)
        for index, line in enumerate(good) if wanted else ():
            if index in wanted:
                lines[index] = Place(self.name, line)
                if len(lines) == len(wanted):
                    break
        return lines

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each record but the header, with the line it begins on."""
        records = _records(self.text, self.dialect)
        if self.has_header:
            next(records, None)
        yield from records


def column_names(header: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The names of the columns, as pandas gives them: one without a name is "Unnamed: 0".

    Columns at the end that have neither name nor value are left out.

    Args:
        header: the fields of the first record.
        rows: some of those that follow.
    """
    names = [name.strip() for name in header]
    while len(names) > 1 and not names[-1]:
        if any(row[len(names) - 1].strip() for row in rows if len(row) >= len(names)):
            break
        names.pop()
    return tuple(name or f"Unnamed: {i}" for i, name in enumerate(names))


def _records(text: TextFile, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line it begins on.

    Raises:
        DataError: a quote is never closed (D111), or a row has no end (D150).
    """
    size = [0]
    with coded(str(text.path), "CSV"), text.open_text() as file:
        reader = csv.reader(_lines(file, size), delimiter=dialect.delimiter)
        while True:
            line = reader.line_num + 1
            size[0] = 0
            try:
                record = next(reader)
            except StopIteration:
                return
            except _EndlessRowError:
                raise DataError(_endless(text, line, reader.line_num)) from None
            if record and record[-1].endswith(_END):
                if record != [_END]:
                    raise DataError(_unclosed_quote(text, line, reader.line_num - 1))
            elif record and line > dialect.skipped_lines:
                yield line, record


def _lines(file: TextIO, size: list[int]) -> Iterator[str]:
    """The lines of a file and `_END`, while a record stays within bounds.

    Args:
        file: the text.
        size: the characters of the record that is read, set to 0 where one begins.
    """
    for line in file:
        size[0] += len(line)
        if size[0] > MAX_ROW_BYTES:
            raise _EndlessRowError
        yield line
    yield _END


def _endless(text: TextFile, line: int, last: int) -> Problem:
    if last > line:
        return _unclosed_quote(text, line, last)
    fix = _("Is this a table? A quote may be open, or --delimiter may be needed.")
    return too_long(Place(str(text.path), line), fix)


def _unclosed_quote(text: TextFile, line: int, last: int) -> Problem:
    swallowed = last - line
    return Problem(
        "D111",
        ngettext(
            "a quote opened here is never closed ({count} line swallowed)",
            "a quote opened here is never closed ({count} lines swallowed)",
            swallowed,
        ).format(count=swallowed),
        Place(str(text.path), line),
        fix=_('Close it, or double a quote that belongs to the text: "".'),
    )


def _wrong_delimiter(fields: Sequence[str], text: TextFile, place: Place) -> Problem | None:
    """A first line in one piece that another delimiter than the named one would cut."""
    other = dialect_of(text, None).delimiter
    if len(fields) > 1 or other not in fields[0]:
        return None
    shown = shown_delimiter(other)
    return Problem(
        "D112",
        _('one column "{column}"; the delimiter looks like "{delimiter}"').format(
            column=shortened(fields[0]), delimiter=shown
        ),
        place,
        fix=_('Use --delimiter "{delimiter}", or leave it out.').format(delimiter=shown),
        flags=("--delimiter", shown),
    )


def _misfit(
    first: Sequence[str], names: Sequence[str], place: Place, dialect: Dialect
) -> Problem | None:
    """Why names for the columns do not fit the first record."""
    twice = [name for i, name in enumerate(names) if name in names[:i] or not name.strip()]
    if twice:
        message = _("--columns names {names}; each column needs a name of its own").format(
            names=quoted(names)
        )
    elif len(names) != len(first):
        message = ngettext(
            "{count} field on the first line, --columns names {wanted}: {names}",
            "{count} fields on the first line, --columns names {wanted}: {names}",
            len(first),
        ).format(count=len(first), wanted=len(names), names=quoted(names))
    else:
        return None
    shown = shown_delimiter(dialect.delimiter)
    return Problem(
        "D114",
        message,
        place,
        evidence=(
            _("first line: {text}").format(text=shortened(" | ".join(first))),
            _('delimiter: "{delimiter}"').format(delimiter=shown),
        ),
        fix=_("Give one name for each field, such as --columns text,label"),
    )

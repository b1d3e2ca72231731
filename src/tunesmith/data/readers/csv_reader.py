"""CSV and TSV: every field is text, no value is missing, bad rows are reported by their lines."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.readers.dialect import Dialect, dialect_of, shown_delimiter
from tunesmith.data.readers.format import Format, ReadingOptions
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.tables import RaggedRows, column_names, line_places
from tunesmith.data.readers.text_file import AUTO, TextFile, TextFileSource
from tunesmith.data.rows import (
    MARKED_ROWS,
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    Column,
    Marks,
    Row,
    distinct_columns,
    in_chunks,
    selected,
    too_long,
    too_many_columns,
)
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import quoted, shortened

__all__ = ["FORMAT", "DelimitedFile"]

_END = "\0"
"""Added as the last line: no text file contains it, and an open quote swallows it."""

csv.field_size_limit(1 << 30)


class _EndlessRowError(Exception):
    """A record exceeds `MAX_ROW_BYTES`."""


@dataclass(frozen=True)
class DelimitedFile(TextFileSource):
    """A checked CSV or TSV file.

    Attributes:
        dialect: how its lines are split into fields.
        columns: from the header, each name once; empty columns at the end are dropped.
        names: of the fields of a record, in order.
        width: fields in a full record, dropped ones included.
        own_notes: on delimiter and columns.
        has_header: whether the first record names the columns.
    """

    dialect: Dialect
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    width: int
    own_notes: tuple[str, ...] = ()
    has_header: bool = True

    @property
    def delimiter(self) -> str:
        """The character between fields."""
        return self.dialect.delimiter

    @property
    def detected(self) -> dict[str, str]:
        """The detected encoding and delimiter, by the keys of a recipe."""
        delimiter = {"delimiter": self.delimiter} if self.dialect.is_detected else {}
        return {**self.text.detected, **delimiter}

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on encoding, delimiter and columns."""
        return (*self.text.notes, *self.own_notes)

    @classmethod
    def open(
        cls, text: TextFile, delimiter: str | None, header: Sequence[str] | None = None
    ) -> DelimitedFile:
        """Read the first record.

        Args:
            text: the file.
            delimiter: None or "auto" to detect it from the suffix or the first lines.
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
            fix = _("Export it again, or name another file.")
            raise DataError.of("D121", _("the file has no header line"), place, fix=fix)
        if len(first) > MAX_COLUMNS:
            raise DataError(too_many_columns(len(first), place))
        notes: list[str] = []
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
        """Yield all rows; then raise a `DataError` if records were ragged (D110).

        Raises:
            DataError: a quote is never closed (D111), or a row has no end (D150).
        """
        return self._chunks(self._rows(), columns)

    def chunks_from(
        self,
        mark: tuple[int, ...],
        columns: Collection[str] | None = None,
        count: int | None = None,
    ) -> Iterator[Sequence[Row]]:
        """Yield the rows from a mark on, numbered from 0; otherwise as `chunks`."""
        position, line = mark
        return self._chunks(_records(self.text, self.dialect, position, line), columns)

    @property
    def is_seekable(self) -> bool:
        """Whether it is not packed."""
        return not self.text.is_packed

    def marks(self) -> Marks:
        """Read all rows once, and note where every 1,024th begins; ragged ones are not counted.

        Raises:
            DataError: a quote is never closed (D111), or a row has no end (D150).
        """
        ragged = self._ragged()
        rows, starts = 0, [0]
        marks: list[tuple[int, ...]] = []
        with coded(self.name, "CSV"), self.text.open_text() as file:
            # `tell` needs a file that is read by `readline`
            records = _parsed(iter(file.readline, ""), self.text, self.dialect)
            lines_read = next(records, (0, [], 0))[2] if self.has_header else 0
            marks.append((file.tell(), lines_read))
            for line, record, lines_read in records:
                if len(record) != self.width:
                    ragged.add(Place(self.name, line), record)
                    continue
                rows += 1
                if rows % MARKED_ROWS == 0:
                    starts.append(rows)
                    marks.append((file.tell(), lines_read))
        return Marks(rows, starts, marks, ragged.error().problems if ragged else ())

    def _ragged(self) -> RaggedRows:
        fix = _('Quote texts that contain the delimiter: "like, this".')
        return RaggedRows(self.width, self.delimiter, fix_if_wide=fix)

    def _chunks(
        self, records: Iterable[tuple[int, list[str]]], columns: Collection[str] | None
    ) -> Iterator[Sequence[Row]]:
        ragged = self._ragged()
        yield from in_chunks(self._good_rows(records, columns, ragged))
        if ragged:
            raise ragged.error()

    def _good_rows(
        self,
        records: Iterable[tuple[int, list[str]]],
        columns: Collection[str] | None,
        ragged: RaggedRows,
    ) -> Iterator[tuple[Row, int]]:
        """Yield the rows of full width, each with its size; add the others to `ragged`."""
        fields = [(name, self.names.index(name)) for name in selected(self.columns, columns)]
        index = 0
        for line, record in records:
            if len(record) == self.width:
                yield Row(index, {name: record[i] for name, i in fields}), sum(map(len, record))
                index += 1
            else:
                ragged.add(Place(self.name, line), record)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the lines on which some rows begin."""
        return self._places(self._rows(), indices)

    def places_from(self, mark: tuple[int, ...], indices: Collection[int]) -> dict[int, Place]:
        """Return the lines on which some rows begin, numbered from a mark on."""
        position, line = mark
        return self._places(_records(self.text, self.dialect, position, line), indices)

    def _places(
        self, records: Iterable[tuple[int, list[str]]], indices: Collection[int]
    ) -> dict[int, Place]:
        lines = (line for line, record in records if len(record) == self.width)
        return line_places(self.name, lines, indices)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each record after the header, with the line it begins on."""
        records = _records(self.text, self.dialect)
        if self.has_header:
            next(records, None)
        yield from records


def _records(
    text: TextFile, dialect: Dialect, position: int = 0, lines_before: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line it begins on.

    Args:
        text: the file.
        dialect: of its lines.
        position: where to begin, at the start of a record.
        lines_before: lines before that.

    Raises:
        DataError: a quote is never closed (D111), or a row has no end (D150).
    """
    with coded(str(text.path), "CSV"), text.open_text(position) as file:
        for line, record, _lines_read in _parsed(file, text, dialect, lines_before):
            yield line, record


def _parsed(
    lines: Iterable[str], text: TextFile, dialect: Dialect, lines_before: int = 0
) -> Iterator[tuple[int, list[str], int]]:
    """Yield each record that is not blank, the line it begins on, and the lines read so far."""
    size = [0]
    reader = csv.reader(_lines(lines, size), delimiter=dialect.delimiter)
    while True:
        line = lines_before + reader.line_num + 1
        size[0] = 0
        try:
            record = next(reader)
        except StopIteration:
            return
        except _EndlessRowError:
            last = lines_before + reader.line_num
            raise DataError(_endless(text, line, last)) from None
        lines_read = lines_before + reader.line_num
        if record and record[-1].endswith(_END):
            if record != [_END]:
                raise DataError(_unclosed_quote(text, line, lines_read - 1))
        elif record and line > dialect.skipped_lines:
            yield line, record, lines_read


def _lines(lines: Iterable[str], size: list[int]) -> Iterator[str]:
    """Yield the lines of a file, then `_END`.

    Args:
        lines: of the text.
        size: characters of the current record, set to 0 by the caller where one begins.

    Raises:
        _EndlessRowError: a record exceeds `MAX_ROW_BYTES`.
    """
    for line in lines:
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
    """Return the problem of a first line that only another delimiter than the named one splits."""
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
    """Return why names for the columns do not fit the first record."""
    repeated = [name for i, name in enumerate(names) if name in names[:i] or not name.strip()]
    if repeated:
        message = _("--columns names {names}; each column needs a name of its own").format(
            names=quoted(names)
        )
    elif len(names) != len(first):
        message = ngettext(
            "{count} field on the first line, --columns names {num_names}: {names}",
            "{count} fields on the first line, --columns names {num_names}: {names}",
            len(first),
        ).format(count=len(first), num_names=len(names), names=quoted(names))
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


def _open(path: Path, options: ReadingOptions) -> DelimitedFile:
    text = TextFile.check(path, options.encoding)
    return DelimitedFile.open(text, options.delimiter, options.header)


FORMAT = Format("CSV", (".csv", ".tsv", ".tab"), _open, takes=("header",))

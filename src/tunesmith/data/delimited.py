"""CSV and TSV: every field is text, nothing counts as missing, bad rows are named by their line.

pyarrow reads the records; it numbers records, not lines, so lines are found by a second reading
with the `csv` module, and only when there is something to say.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from tunesmith.data.rows import CHUNK_ROWS, BadRecordsError, Column, Rejected, Row
from tunesmith.data.textfile import TextFile, open_bytes
from tunesmith.errors import DataError, Place, Problem, quoted, shortened
from tunesmith.language import gettext as _
from tunesmith.language import ngettext

__all__ = ["MAX_ROW_BYTES", "DelimitedFile"]

MAX_ROW_BYTES = 10_000_000
"""A longer row is refused: it is an unclosed quote or a file that is not a table."""

_BLOCK_BYTES = 1 << 20
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class DelimitedFile:
    """A checked CSV or TSV file.

    Attributes:
        text: the file.
        delimiter: the character between fields.
        columns: from the header; empty columns at the end are dropped.
        width: fields in a full record, dropped ones included.
        notes: what is worth saying about it.
        has_header: whether the first record names the columns.
    """

    text: TextFile
    delimiter: str
    columns: tuple[Column, ...]
    width: int
    notes: tuple[str, ...] = ()
    has_header: bool = True
    _bad_records: list[int] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """The path."""
        return str(self.text.path)

    @classmethod
    def open(
        cls, text: TextFile, delimiter: str | None, header: Sequence[str] | None = None
    ) -> DelimitedFile:
        """Read the first record.

        Args:
            text: the file.
            delimiter: None for what the suffix says.
            header: names of the columns, if the first record is a row like the others.

        Raises:
            DataError: no record (D121), a wrong delimiter (D112), columns without a name or with
                equal ones (D302), names that do not fit the first record (D114).
        """
        stem = text.path.name.removesuffix(".gz")
        chosen = delimiter or ("\t" if stem.endswith((".tsv", ".tab")) else ",")
        with text.open_text() as file:
            first = next((record for record in csv.reader(file, delimiter=chosen) if record), None)
        place = Place(str(text.path), 1)
        if first is None:
            raise DataError(Problem("D121", _("the file has no header line"), place))
        if header is not None:
            if problem := _misfit(first, header, place, delimiter):
                raise DataError(problem)
            columns = tuple(Column(name, "text") for name in header)
            return cls(text, chosen, columns, len(first), text.notes, has_header=False)
        names = [name.strip() for name in first]
        while len(names) > 1 and not names[-1]:
            names.pop()
        notes = list(text.notes)
        if len(names) < len(first):
            notes.append(_("{file}: empty columns at the end are left out").format(file=text.path))
        if problems := list(_header_problems(names, place, delimiter)):
            raise DataError(problems)
        columns = tuple(Column(name, "text") for name in names)
        return cls(text, chosen, columns, len(first), tuple(notes))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows; then a `DataError` if records were ragged (D110) or a quote open (D111)."""
        if self.text.odd_quotes and (problem := self._unclosed_quote()):
            raise DataError(problem)
        names = [column.name for column in self.columns]
        wanted = [i for i, name in enumerate(names) if columns is None or name in columns]
        ragged: list[Any] = []
        index = 0
        with open_bytes(self.text.path) as file:
            for batch in self._read(file, ragged):
                self._refuse_endless(batch, index)
                fields = {names[i]: batch.column(i) for i in wanted}
                for start in range(0, batch.num_rows, CHUNK_ROWS):
                    stop = min(start + CHUNK_ROWS, batch.num_rows)
                    texts = [fields[name].slice(start, stop - start).to_pylist() for name in fields]
                    records = zip(*texts, strict=True) if texts else iter([()] * (stop - start))
                    yield [
                        Row(index + i, dict(zip(fields, record, strict=True)))
                        for i, record in enumerate(records)
                    ]
                    index += stop - start
        if ragged:
            self._bad_records[:] = [record.number for record in ragged]
            raise self._ragged_error(ragged)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """The lines on which some rows begin."""
        bad = set(self._bad_records)
        lines = {}
        index = 0
        wanted = set(indices)
        for number, (line, _record) in enumerate(self._records(), start=1):
            if (number == 1 and self.has_header) or number in bad:
                continue
            if index in wanted:
                lines[index] = Place(self.name, line)
                if len(lines) == len(wanted):
                    break
            index += 1
        return lines

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record that is not blank, the header included, with the line it begins on."""
        with self.text.open_text() as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            while True:
                line = reader.line_num + 1
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    continue
                if record:
                    yield line, record

    def _read(self, file: Any, ragged: list[Any]) -> Iterator[Any]:
        def note(record: Any) -> str:
            ragged.append(record)
            return "skip"

        # pyarrow reads columns it is not told about as what they look like, so it is told of all;
        # its own names keep a dropped empty column from colliding with another.
        names = [f"f{i}" for i in range(self.width)]
        try:
            reader = pyarrow.csv.open_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False,
                    block_size=_BLOCK_BYTES,
                    column_names=names,
                    encoding=self.text.encoding.removesuffix("-sig"),
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    strings_can_be_null=False, column_types=dict.fromkeys(names, pa.string())
                ),
            )
            header = self.has_header
            for batch in reader:
                yield batch.slice(1) if header and batch.num_rows else batch
                header = header and not batch.num_rows
        except pa.ArrowInvalid as error:
            raise DataError(
                Problem(
                    "D150",
                    _("cannot be read as a table: {reason}").format(reason=error),
                    Place(self.name),
                )
            ) from error

    def _refuse_endless(self, batch: Any, index: int) -> None:
        for column in batch.columns:
            lengths = pyarrow.compute.binary_length(column)
            if (pyarrow.compute.max(lengths).as_py() or 0) > MAX_ROW_BYTES:
                row = index + pyarrow.compute.index(lengths, pyarrow.compute.max(lengths)).as_py()
                raise DataError(
                    Problem(
                        "D150",
                        _("a row of more than {limit} MB").format(limit=MAX_ROW_BYTES // 1_000_000),
                        self.places([row]).get(row, Place(self.name)),
                        fix=_(
                            "Is this a table? A quote may be open, or --delimiter may be needed."
                        ),
                    )
                )

    def _ragged_error(self, ragged: list[Any]) -> BadRecordsError:
        numbers = {record.number: record for record in ragged}
        lines = {}
        for number, (line, _record) in enumerate(self._records(), start=1):
            if number in numbers:
                lines[number] = line
                if len(lines) == len(numbers):
                    break
        bad = [
            Rejected(
                Place(self.name, lines.get(record.number)),
                "D110",
                ngettext(
                    '{found} field, the header has {wanted}: "{text}"',
                    '{found} fields, the header has {wanted}: "{text}"',
                    record.actual_columns,
                ).format(
                    found=record.actual_columns,
                    wanted=record.expected_columns,
                    text=shortened(record.text),
                ),
            )
            for record in ragged
        ]
        first, message = ragged[0], bad[0].reason
        if len(ragged) > 1:
            message += " " + ngettext("({count} row)", "({count} rows)", len(ragged)).format(
                count=len(ragged)
            )
        also = [str(record.place) for record in bad[1:5]]
        problem = Problem(
            "D110",
            message,
            bad[0].place,
            evidence=(_("also {places}").format(places=", ".join(also)),) if also else (),
            fix=_('Quote texts that contain the delimiter: "like, this".')
            if first.actual_columns > first.expected_columns
            else _("Complete or remove the row."),
            count=len(bad),
        )
        return BadRecordsError([problem], bad)

    def _unclosed_quote(self) -> Problem | None:
        """The last record, if the file ends inside a quoted field."""
        with self.text.open_text() as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            line = 1
            while True:
                line = reader.line_num + 1
                try:
                    next(reader)
                except StopIteration:
                    return None
                except csv.Error as error:
                    if "unexpected end of data" not in str(error):
                        continue
                    swallowed = reader.line_num - line
                    return Problem(
                        "D111",
                        ngettext(
                            "a quote opened here is never closed ({count} line swallowed)",
                            "a quote opened here is never closed ({count} lines swallowed)",
                            swallowed,
                        ).format(count=swallowed),
                        Place(self.name, line),
                        fix=_('Close it, or double a quote that belongs to the text: "".'),
                    )


def _wrong_delimiter(fields: Sequence[str], place: Place, delimiter: str | None) -> Problem | None:
    """A first line in one piece that another delimiter would cut, if nobody named one."""
    if len(fields) == 1 and delimiter is None:
        for other in (";", "\t", "|"):
            if other in fields[0]:
                shown = "\\t" if other == "\t" else other
                return Problem(
                    "D112",
                    _('one column "{column}"; the delimiter looks like "{delimiter}"').format(
                        column=shortened(fields[0]), delimiter=shown
                    ),
                    place,
                    fix=_('Use --delimiter "{delimiter}".').format(delimiter=shown),
                )
    return None


def _misfit(
    first: Sequence[str], names: Sequence[str], place: Place, delimiter: str | None
) -> Problem | None:
    """Why names given for the columns do not fit the first record."""
    twice = [name for i, name in enumerate(names) if name in names[:i] or not name.strip()]
    if twice:
        message = _("--no-header names {names}; each column needs a name of its own").format(
            names=quoted(names)
        )
    elif len(names) != len(first):
        if problem := _wrong_delimiter(first, place, delimiter):
            return problem
        message = ngettext(
            "{count} field on the first line, --no-header names {wanted}: {names}",
            "{count} fields on the first line, --no-header names {wanted}: {names}",
            len(first),
        ).format(count=len(first), wanted=len(names), names=quoted(names))
    else:
        return None
    return Problem(
        "D114",
        message,
        place,
        evidence=(_("first line: {text}").format(text=shortened(" | ".join(first))),),
        fix=_("Give one name for each field, such as --no-header text,label"),
    )


def _header_problems(names: list[str], place: Place, delimiter: str | None) -> Iterator[Problem]:
    if problem := _wrong_delimiter(names, place, delimiter):
        yield problem
        return
    for i, name in enumerate(names):
        if not name:
            yield Problem(
                "D302",
                _("column {number} has no name").format(number=i + 1),
                place,
                fix=_("Name it in the header."),
            )
        elif name in names[:i]:
            yield Problem(
                "D302",
                _('two columns are called "{name}" (columns {first} and {second})').format(
                    name=name, first=names.index(name) + 1, second=i + 1
                ),
                place,
                fix=_("Give each its own name. Columns: {names}.").format(names=quoted(names)),
            )

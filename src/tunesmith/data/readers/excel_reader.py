"""Excel workbooks: every cell of a sheet as the text that a CSV export would contain.

openpyxl reads them row by row. A workbook is a zip of XML, so its unpacked size is checked before
any of it is parsed.
"""

from __future__ import annotations

import datetime
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tunesmith.data.readers.format import Format
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.tables import RaggedRows, column_names, line_places
from tunesmith.data.rows import (
    CHUNK_ROWS,
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    Column,
    PathSource,
    Row,
    distinct_columns,
    in_chunks,
    selected,
    too_long,
    too_many_columns,
)
from tunesmith.errors import DataError, Place, Problem, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest, quoted

__all__ = ["FORMAT", "ExcelFile", "refuse_other_spreadsheet"]

_BOMB_TIMES, _BOMB_BYTES = 50, 64 << 20
"""A workbook that unpacks to more than this many times its size, and more bytes, is refused."""
_MAX_CELLS = 20_000_000
"""More cells, empty ones included, are refused: one cell far away makes thousands of them."""
_SAMPLE_ROWS = 100
_FAILED = frozenset(("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"))
"""Shown by a formula without a result; read as empty."""


@dataclass(frozen=True)
class ExcelFile(PathSource):
    """One sheet of a workbook.

    Attributes:
        sheet: the name of the sheet.
        columns: from the first row that is not empty, each name once.
        names: of the cells of a row, in order.
        header_row: the number of that first row, from 1.
        notes: on how the sheet is read.
    """

    sheet: str
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    header_row: int
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path, sheet: str | None = None) -> ExcelFile:
        """Read the header of a sheet.

        Args:
            path: of a .xlsx or .xlsm file.
            sheet: its name; None for the first one.

        Raises:
            DataError: it is another kind of file (D118) or damaged (D130), unpacks without end
                (D131), has no such sheet (D119), no header (D121) or too many columns (D116).
            ResourceError: openpyxl is not installed (D136).
        """
        with coded(str(path), "Excel"):
            _check_archive(path)
            with _Workbook(path) as workbook:
                chosen = _choose(workbook.sheets, sheet, path)
                rows = list(islice(workbook.rows(chosen), _SAMPLE_ROWS))
        if not rows:
            message = _('the sheet "{sheet}" is empty').format(sheet=chosen)
            fix = _("Name another sheet with --sheet, or another file.")
            raise DataError.of("D121", message, Place(str(path)), fix=fix)
        (number, header), *others = rows
        if len(header) > MAX_COLUMNS:
            raise DataError(too_many_columns(len(header), Place(str(path), number)))
        names = column_names(header, [row for _number, row in others])
        columns = distinct_columns([Column(name, "text") for name in names])
        return cls(
            path, chosen, columns, names, number, _notes(path, chosen, workbook.sheets, sheet)
        )

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows that are not empty; then raise a `DataError` for too wide ones (D110)."""
        fix = _("Clear the cells beyond the last column that has a name.")
        ragged = RaggedRows(len(self.names), " | ", fix_if_wide=fix)
        yield from in_chunks(self._good_rows(columns, ragged))
        if ragged:
            raise ragged.error()

    def _good_rows(
        self, columns: Collection[str] | None, ragged: RaggedRows
    ) -> Iterator[tuple[Row, int]]:
        """Yield the rows that are not too wide, each with its size; add the others to `ragged`."""
        fields = [(name, self.names.index(name)) for name in selected(self.columns, columns)]
        width = len(self.names)
        index = 0
        for number, cells in self._rows():
            if len(cells) > width:
                ragged.add(Place(self.name, number), cells)
                continue
            full = [*cells, *[""] * (width - len(cells))]
            yield Row(index, {name: full[i] for name, i in fields}), sum(map(len, cells))
            index += 1

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the row numbers that Excel shows for some rows."""
        numbers = (number for number, cells in self._rows() if len(cells) <= len(self.names))
        return line_places(self.name, numbers, indices)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row below the header that is not empty, with its number."""
        with coded(self.name, "Excel"), _Workbook(self.path) as workbook:
            for number, cells in workbook.rows(self.sheet):
                if number > self.header_row:
                    yield number, cells


def refuse_other_spreadsheet(path: Path, kind: str) -> DataError:
    """Return the error for a table in a format that is not supported (D118)."""
    message = _("{kind} cannot be read").format(kind=kind)
    fix = _("Save it as .xlsx without a password, or as CSV (UTF-8).")
    return DataError.of("D118", message, Place(str(path)), fix=fix)


def _check_archive(path: Path) -> None:
    """Raise a `DataError` if a zip is no workbook (D118) or unpacks to too much (D131)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if "xl/workbook.xml" not in names:
        kinds = {
            "xl/workbook.bin": _("a binary Excel workbook (.xlsb)"),
            "content.xml": _("an OpenDocument table (.ods)"),
            "word/document.xml": _("a Word document"),
        }
        kind = next((kinds[name] for name in kinds if name in names), _("a zip archive"))
        raise refuse_other_spreadsheet(path, kind)
    size = sum(entry.file_size for entry in entries)
    if size > max(_BOMB_BYTES, _BOMB_TIMES * path.stat().st_size):
        message = _("it unpacks to more than {times} times its size ({size} MB)").format(
            times=_BOMB_TIMES, size=size >> 20
        )
        fix = _("Save it as CSV (UTF-8).")
        raise DataError.of("D131", message, Place(str(path)), fix=fix)


class _Workbook:
    """An open workbook, to be used with `with`.

    Attributes:
        sheets: the names of its sheets with cells.
    """

    def __init__(self, path: Path) -> None:
        try:
            import openpyxl
        except ImportError:
            raise ResourceError.of(
                "D136",
                _("reading Excel files needs the package openpyxl"),
                Place(str(path)),
                fix='pip install "tunesmith[excel]"\n' + _("Or save it as CSV (UTF-8)."),
            ) from None
        self._path = path
        with warnings.catch_warnings(action="ignore"):
            self._book = openpyxl.load_workbook(
                path, read_only=True, data_only=True, keep_links=False
            )
        self.sheets = [sheet.title for sheet in self._book.worksheets]

    def __enter__(self) -> _Workbook:
        return self

    def __exit__(self, *_error: object) -> None:
        self._book.close()

    def rows(self, sheet: str) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that is not empty with its number, without the empty cells at its end."""
        read = self._book[sheet]
        read.reset_dimensions()  # what the file says of them may be wrong, or immense
        rows = enumerate(read.iter_rows(values_only=True), start=1)
        num_cells = 0
        while True:
            with warnings.catch_warnings(action="ignore"):  # of extensions that it does not know
                part = list(islice(rows, CHUNK_ROWS))
            if not part:
                return
            for number, row in part:
                if not row:  # one that the file does not hold, before one that it does
                    continue
                num_cells += len(row)
                cells = _texts(row)
                if num_cells > _MAX_CELLS:
                    raise DataError(_too_many_cells(Place(str(self._path), number)))
                if sum(map(len, cells)) > MAX_ROW_BYTES:
                    raise DataError(too_long(Place(str(self._path), number)))
                if cells:
                    yield number, cells


def _too_many_cells(place: Place) -> Problem:
    millions = _MAX_CELLS // 1_000_000
    message = _("more than {count} million cells, most of them empty").format(count=millions)
    return Problem("D131", message, place, fix=_("Save it as CSV (UTF-8)."))


def _choose(sheets: Sequence[str], sheet: str | None, path: Path) -> str:
    if sheet is None and sheets:
        return sheets[0]
    if sheet in sheets:
        return str(sheet)
    close = nearest(sheet or "", sheets)
    raise DataError.of(
        "D119",
        _('there is no sheet "{sheet}"').format(sheet=sheet or ""),
        Place(str(path)),
        fix=(_('Did you mean "{name}"?').format(name=close[0]) + "\n" if close else "")
        + _("Sheets: {names}.").format(names=quoted(sheets) or "-"),
    )


def _notes(path: Path, chosen: str, sheets: Sequence[str], named: str | None) -> tuple[str, ...]:
    others = [sheet for sheet in sheets if sheet != chosen]
    if named is not None or not others:
        return ()
    note = _('{file}: the first sheet "{sheet}" is read, not {others} (see --sheet)')
    return (note.format(file=path, sheet=chosen, others=quoted(others)),)


def _texts(row: Sequence[Any]) -> list[str]:
    """The cells as texts, without the empty ones at the end."""
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    cells = [_as_text(value) for value in row[:end]]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _as_text(value: Any) -> str:
    """A cell as Excel shows it, with dates as ISO 8601 writes them."""
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if value in _FAILED else value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time()
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    return str(value)


FORMAT = Format(
    "Excel",
    (".xlsx", ".xlsm"),
    lambda path, options: ExcelFile.open(path, options.sheet),
    first_bytes=(b"PK\x03\x04",),
    takes=("sheet",),
)

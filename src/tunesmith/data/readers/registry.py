"""Every file format that can be read.

A new format is a reader module with a `FORMAT`, and its line in `FORMATS`.
"""

from __future__ import annotations

from pathlib import Path

from tunesmith.data.readers import (
    arrow_reader,
    conll_reader,
    csv_reader,
    excel_reader,
    json_reader,
    parquet_reader,
    squad_reader,
    text_reader,
)
from tunesmith.data.readers.format import Format, ReadingOptions
from tunesmith.data.readers.text_file import open_bytes
from tunesmith.data.rows import Source
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = [
    "FORMATS",
    "has_known_suffix",
    "open_file",
    "refuse_header",
]

FORMATS = (
    csv_reader.FORMAT,
    json_reader.FORMAT,
    text_reader.FORMAT,
    parquet_reader.FORMAT,
    arrow_reader.FORMAT,
    excel_reader.FORMAT,
    conll_reader.FORMAT,
    squad_reader.FORMAT,
)

_HEAD = 4096
_BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}
_OTHER_SPREADSHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_OLE = b"\xd0\xcf\x11\xe0"
"""The first bytes of files of Office until 2007, and of encrypted ones."""
_NO_TABLES = (_OLE, b"%PDF", b"\x1f\x8b", b"\x89PNG")


def has_known_suffix(name: str, *, or_spreadsheet: bool = False) -> bool:
    """Return whether a name ends like that of a file that can be read.

    Args:
        name: of a file.
        or_spreadsheet: or like that of a spreadsheet that cannot.
    """
    suffix = _suffix(name)
    return suffix in _BY_SUFFIX or (or_spreadsheet and suffix in _OTHER_SPREADSHEETS)


def open_file(path: Path, options: ReadingOptions) -> Source:
    """Open a file by its content; the suffix only tells text formats apart.

    Raises:
        DataError: the content is not what the name says (D104), it cannot be read, or the format
            has no columns to name (D114) or no sheets (D119).
    """
    suffix = _suffix(path.name)
    named = _BY_SUFFIX.get(suffix)
    with open_bytes(path) as file:
        head = file.read(_HEAD)
    actual = _recognized(head, suffix)
    if named is None and (kind := _unreadable_kind(head, suffix)):
        raise excel_reader.refuse_other_spreadsheet(path, kind)
    is_other = named is not None and actual is not named
    if actual is None or (is_other and not (actual.recognizes and named and named.is_text)):
        raise DataError(_wrong_format(path, named, head))
    if "header" not in actual.takes:
        refuse_header(str(path), options)
    if options.sheet is not None and "sheet" not in actual.takes:
        message = _("--sheet is for Excel files; this has no sheets")
        fix = _("Leave out --sheet (data.sheet).")
        raise DataError.of("D119", message, Place(str(path)), fix=fix)
    return actual.open(path, options)


def refuse_header(where: str, options: ReadingOptions) -> None:
    """Refuse names for the columns of data that names them itself.

    Raises:
        DataError: there are such names (D114).
    """
    if options.header:
        message = _("--columns is for CSV and TSV files; this names its columns itself")
        fix = _("Leave out --columns (data.header).")
        raise DataError.of("D114", message, Place(where), fix=fix)


def _suffix(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _recognized(head: bytes, suffix: str = "") -> Format | None:
    """Return the format of the first bytes of a file, None if it is no table."""
    for candidate in FORMATS:
        if head.startswith(candidate.first_bytes):
            return candidate
    if head.startswith(_NO_TABLES):
        return None
    named = _BY_SUFFIX.get(suffix)
    if named is None or named.is_text:
        # tags are ASCII in every encoding but UTF-16, so that any other will do here
        start = head.decode("latin-1")
        if by_content := [one for one in FORMATS if one.recognizes and one.recognizes(start)]:
            return by_content[0]
    if named is not None and named.is_text:
        return named
    is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    return json_reader.FORMAT if is_json else csv_reader.FORMAT


def _unreadable_kind(head: bytes, suffix: str) -> str | None:
    """Return what kind of table a file is that other programs write and no reader supports."""
    if head.startswith(_OLE):
        return _("an old Excel workbook (.xls), or one with a password,")
    if suffix in _OTHER_SPREADSHEETS and head.lstrip()[:1] == b"<":
        return _("a web page that is called {suffix}").format(suffix=suffix)
    return None


def _wrong_format(path: Path, named: Format | None, head: bytes) -> Problem:
    if head.startswith((b"PK\x03\x04", _OLE)):
        message = _("this is an Excel file or another archive, not a table of text")
        fix = _("Call it .xlsx if it is a workbook, or export it as CSV (UTF-8).")
        return Problem("D104", message, Place(str(path)), fix=fix)
    actual = _recognized(head)
    kind = (
        _("of an unknown kind") if actual is None else _("text") if actual.is_text else actual.name
    )
    return Problem(
        "D104",
        _("the content is {kind}, not {named}").format(
            kind=kind, named=named.name if named else _("a table")
        ),
        Place(str(path)),
        fix=_("Supported formats: {formats}; text formats also as .gz.").format(
            formats=", ".join(f"{one.name} ({', '.join(one.suffixes)})" for one in FORMATS)
        ),
    )

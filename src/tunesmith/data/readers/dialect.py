"""How a table of text is split into fields: the delimiter, and Excel's line above the header."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import islice

from tunesmith.data.readers.text_file import AUTO, TextFile
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _
from tunesmith.text import escape_controls

__all__ = ["Dialect", "dialect_of", "shown_delimiter"]

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 1 << 16
_SAMPLE_RECORDS = 100
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
"""A first line of Excel, which names the delimiter."""
_MIN_FRACTION = 0.9
"""Minimum fraction of the first records with as many fields as the header."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the lines of a file are split into fields.

    Attributes:
        delimiter: the character between fields.
        skipped_lines: lines above the header that name the delimiter, 0 or 1.
        is_detected: whether the delimiter is neither named nor that of the suffix.
        sample: the first complete records.
    """

    delimiter: str
    skipped_lines: int
    is_detected: bool
    sample: tuple[tuple[str, ...], ...]


def dialect_of(text: TextFile, delimiter: str | None, width: int | None = None) -> Dialect:
    """Find out how a table is split.

    Args:
        text: the file.
        delimiter: the requested one; None or "auto" for that of the suffix or, if it does not split
            the first line, the one that fits the first lines.
        width: fields of a record, if known.

    Raises:
        DataError: the delimiter cannot be one (D115).
    """
    with text.open_text() as file:
        head = file.read(_SAMPLE_CHARACTERS)
    first_line = next(iter(io.StringIO(head, newline="")), "")
    separator = _SEPARATOR_LINE.fullmatch(first_line)
    if separator:
        head = head[len(first_line) :]
    stem = text.path.name.lower().removesuffix(".gz")
    usual = "\t" if stem.endswith((".tsv", ".tab")) else ","
    if delimiter not in (None, AUTO):
        chosen = _usable(str(delimiter), text)
    elif separator:
        chosen = _usable(separator[1], text)
    else:
        chosen = _detect(head, usual, width)
    is_detected = chosen != usual and delimiter in (None, AUTO)
    return Dialect(chosen, 1 if separator else 0, is_detected, _records(head, chosen))


def shown_delimiter(delimiter: str) -> str:
    """Return the delimiter as typed: backslash t for a tab."""
    return "\\t" if delimiter == "\t" else delimiter


def _usable(delimiter: str, text: TextFile) -> str:
    is_half = "\ud800" <= delimiter <= "\udfff"  # of a character: a byte that is not UTF-8
    if len(delimiter) == 1 and delimiter not in '"\r\n\0' and not is_half:
        return delimiter
    raise DataError.of(
        "D115",
        _('"{delimiter}" cannot be a delimiter').format(delimiter=escape_controls(delimiter[:20])),
        Place(str(text.path)),
        fix=_(
            "Name one character other than a quote or a line end, such as "
            '--delimiter ";" (\\t for a tab), or leave it out: it is detected.'
        ),
    )


def _detect(head: str, usual: str, width: int | None) -> str:
    """Return the delimiter that splits the first record, and most others into as many fields.

    The usual one has precedence; it is also returned for a table of one column.
    """
    fractions = {}
    for delimiter in _DELIMITERS:
        records = _records(head, delimiter)
        fields = len(records[0]) if records else 0
        if fields > 1 and width in (None, fields):
            fractions[delimiter] = sum(len(r) == fields for r in records) / len(records)
    if fractions.get(usual, 0.0) >= _MIN_FRACTION:
        return usual
    return max(fractions, key=lambda sign: (fractions[sign], sign == usual), default=usual)


def _records(head: str, delimiter: str) -> tuple[tuple[str, ...], ...]:
    """Return the first complete records, or an incomplete one if it is the only one."""
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    records = [tuple(record) for record in islice(reader, _SAMPLE_RECORDS + 1) if record]
    is_whole = len(head) < _SAMPLE_CHARACTERS
    return tuple(records if is_whole or len(records) == 1 else records[:-1])

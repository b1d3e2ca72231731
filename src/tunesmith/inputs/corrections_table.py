"""The table of label issues: written for the user, filled in with a spreadsheet, read again.

`tunesmith errors RUN --export FILE` writes it. Its column `correct` takes another label, or
`remove`. A row is identified by its number and a hash of its texts: spreadsheets change texts on
saving, such as numbers with leading zeros.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tunesmith.data.profile import as_number
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.storage import atomic
from tunesmith.text import quoted

__all__ = ["REMOVE", "Correction", "LabelIssue", "mark_of", "read_corrections", "write_issues"]

REMOVE = "remove"
"""The value of `correct` for a row to leave out, unless a class has this name."""

_FORMULA = "=+-@\t\r＝＋－＠"
"""What a spreadsheet may take for the beginning of a formula."""

_ENCODING = "utf-8-sig"  # the byte-order mark tells Excel that it is UTF-8


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """One line of the table, to be filled in.

    Attributes:
        split: whose source holds the row: "train", "validation" or "test".
        row: its number in this source, from 0.
        place: its file and line.
        text: of the row.
        text_pair: the second text of a pair, else empty.
        label: its label.
        suggested: what it may be instead.
        correct: what it is, to be filled in.
        mark: a hash of the texts.
    """

    split: str
    row: int
    place: str
    text: str
    text_pair: str
    label: str
    suggested: str
    correct: str
    mark: str


_COLUMNS = tuple(field.name for field in fields(LabelIssue))
_NEEDED = ("split", "row", "correct", "mark")


@dataclass(frozen=True, slots=True)
class Correction:
    """One row with its right label.

    Attributes:
        place: of the line in the table.
        split: whose source holds the row.
        row: its number there.
        mark: the hash of its texts.
        label: the right one as text, or `REMOVE`.
    """

    place: Place
    split: str
    row: int
    mark: str
    label: str


def mark_of(texts: Sequence[str]) -> str:
    """A hash of the texts of a row that no spreadsheet takes for a number."""
    content = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return "m" + hashlib.blake2b(content, digest_size=8).hexdigest()


def write_issues(path: Path, issues: Iterable[LabelIssue]) -> int:
    """Write the table; return the number of rows.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    count = 0
    with (
        atomic.replace_file(path) as unfinished,
        unfinished.open("w", newline="", encoding=_ENCODING, errors="surrogatepass") as file,
    ):
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for issue in issues:
            table.writerow([_guarded(str(value)) for value in astuple(issue)])
            count += 1
    return count


def _guarded(cell: str) -> str:
    """The cell with an apostrophe before what could be a formula; a number is none."""
    is_safe = not cell.startswith((*_FORMULA, "'")) or as_number(cell) is not None
    return cell if is_safe else f"'{cell}"


def _unguarded(cell: str) -> str:
    is_guarded = cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'"))
    return cell[1:] if is_guarded else cell


def read_corrections(path: Path) -> list[Correction]:
    """The lines in which `correct` is filled in, and differs from the label.

    Raises:
        DataError: it cannot be read (D105), or it is no such table (R176).
    """
    corrections = []
    try:
        with path.open(newline="", encoding=_ENCODING, errors="surrogatepass") as file:
            table = csv.DictReader(file, delimiter=_delimiter(file.readline()))
            file.seek(0)
            missing = [name for name in _NEEDED if name not in (table.fieldnames or ())]
            if missing:
                raise DataError(_not_corrections(path, _("no column {names}").format(
                    names=quoted(missing))))  # fmt: skip
            line = table.line_num + 1
            for cells in table:
                if (correction := _as_correction(cells, Place(str(path), line))) is not None:
                    corrections.append(correction)
                line = table.line_num + 1
    except OSError as error:
        raise DataError.of(
            "D105",
            _("cannot read the file: {reason}").format(reason=error.strerror),
            Place(str(path)),
            fix=_("Check that it is a readable file, and its permissions."),
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(_not_corrections(path, str(error))) from error
    return corrections


def _delimiter(header: str) -> str:
    """A comma, or what spreadsheets of other countries save instead."""
    return max(",;\t", key=header.count)


def _as_correction(cells: Mapping[str, str | None], place: Place) -> Correction | None:
    label = _unguarded((cells["correct"] or "").strip())
    if not label or label == _unguarded(cells.get("label") or ""):
        return None
    row = (cells["row"] or "").strip()
    if not row.isdecimal():
        raise DataError(_not_corrections(place, _('the row is "{text}"').format(text=row)))
    return Correction(place, cells["split"] or "", int(row), (cells["mark"] or "").strip(), label)


def _not_corrections(where: Path | Place, reason: str) -> Problem:
    return Problem(
        "R176",
        _("not a table of corrections: {reason}").format(reason=reason),
        where if isinstance(where, Place) else Place(str(where)),
        fix=_(
            "`tunesmith errors RUN --export FILE` writes one; save it as CSV (UTF-8) with all "
            "its columns."
        ),
    )

"""Texts from a pipe or the command line: one row per line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tunesmith.data.readers.encodings import detect_encoding, known_codec
from tunesmith.data.readers.text_file import AUTO
from tunesmith.data.rows import MAX_ROW_BYTES, too_long
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["check_arguments", "rows_of_lines"]

_NAME = "stdin"


def rows_of_lines(
    stream: BinaryIO, columns: Sequence[str], encoding: str | None = None
) -> Iterator[dict[str, object]]:
    """Yield each line that is not blank as a row; a tab separates the two texts of a pair.

    Args:
        stream: bytes; lines end with line feeds, with or without a carriage return.
        columns: the one or two columns of text.
        encoding: None for UTF-8; "auto" for UTF-8 or the detected encoding of each line.

    Raises:
        DataError: a line is not in the encoding (D127), has no end (D150), or not one tab between
            the texts of a pair (D126).
    """
    for place, line in _lines(stream, encoding):
        text = line.removesuffix("\n").removesuffix("\r")
        if not text.strip():
            continue
        texts = text.split("\t", len(columns) - 1) if len(columns) > 1 else [text]
        if len(texts) != len(columns) or (len(columns) > 1 and "\t" in texts[-1]):
            raise DataError(_tabs(text, columns, place))
        yield dict(zip(columns, texts, strict=True))


def check_arguments(texts: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8; their bytes arrive as lone surrogates.

    Raises:
        DataError: there is one (D127).
    """
    for number, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            message = _("the text is not UTF-8: {text}").format(text=shortened(text))
            place = Place(_("the given texts"), row=number)
            fix = _("Write it to a file, and use --file with --encoding.")
            raise DataError.of("D127", message, place, fix=fix) from None


def _lines(stream: BinaryIO, encoding: str | None) -> Iterator[tuple[Place, str]]:
    """Yield the lines with their ends, each with its place."""
    codec = known_codec("utf-8" if encoding in (None, AUTO) else str(encoding), Place(_NAME))
    is_wide = "\n".encode(codec) != b"\n"  # UTF-16 has zeros next to its line feeds
    wide = io.TextIOWrapper(stream, codec, newline="\n") if is_wide else None
    number = 0
    while True:
        number += 1
        place = Place(_NAME, number)
        try:
            line = wide.readline(MAX_ROW_BYTES + 2) if wide else stream.readline(MAX_ROW_BYTES + 2)
        except UnicodeError:
            message = _("not {encoding}").format(encoding=codec.upper())
            fix = _("Name the encoding with --encoding.")
            raise DataError.of("D127", message, place, fix=fix) from None
        if len(line) > MAX_ROW_BYTES:
            raise DataError(too_long(place))
        if isinstance(line, bytes):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            line = _decoded(line, codec, place, detects=encoding == AUTO)
        if not line:
            return
        yield place, line


def _decoded(line: bytes, codec: str, place: Place, *, detects: bool) -> str:
    try:
        return line.decode(codec)
    except UnicodeError as error:
        guess = detect_encoding(line)
        if detects and guess:
            return _decoded(line, guess, place, detects=False)
        message = _("not {encoding}").format(encoding=codec.upper())
        if isinstance(error, UnicodeDecodeError):
            message = _("not {encoding} (byte {byte:#04x})").format(
                encoding=codec.upper(), byte=line[error.start]
            )
        fix = _("Name the encoding with --encoding.")
        raise DataError.of(
            "D127", message, place, fix=fix, flags=("--encoding", guess) if guess else ()
        ) from None


def _tabs(text: str, columns: Sequence[str], place: Place) -> Problem:
    return Problem(
        "D126",
        _(
            "a line holds two texts with one tab between them ({columns}); this one has {count}"
        ).format(columns=", ".join(columns), count=text.count("\t")),
        place,
        evidence=(shortened(text),),
        fix=_("Write one tab, or give a file with these columns: --file."),
    )

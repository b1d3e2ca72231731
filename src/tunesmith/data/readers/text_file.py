"""Text files as bytes: one pass that checks them before anything is parsed.

The encoding is that of the byte-order mark, or UTF-8, or the one that the user names. It is
detected only if the user says so; otherwise a guess is only part of the message.
"""

from __future__ import annotations

import codecs
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tunesmith.data.readers.encodings import (
    detect_encoding,
    detect_utf_16,
    encoding_by_mark,
    known_codec,
    not_in_encoding,
)
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.rows import MAX_ROW_BYTES
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = ["AUTO", "TextFile", "TextFileSource", "open_bytes", "require_regular_file"]

AUTO = "auto"
"""Instead of an encoding or a delimiter: detect it."""

_PIECE = 1 << 20
_BOMB_TIMES, _BOMB_BYTES = 20, 32 << 20
"""A file that unpacks to more than this many times its size, and more bytes, is refused."""
_SAMPLE = 20_000
"""Bytes before and after the first bad one by which an encoding is detected."""


def require_regular_file(path: Path) -> None:
    """Refuse a file that cannot be read twice, or never ends.

    Raises:
        DataError: a device, pipe or socket (D123).
        OSError: there is no such file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = (
            (stat.S_ISFIFO, _("a pipe")),
            (stat.S_ISSOCK, _("a socket")),
            (stat.S_ISDIR, _("a folder")),
        )
        kind = next((name for is_kind, name in kinds if is_kind(mode)), _("a device"))
        message = _("{kind} cannot be read as data: data is read several times").format(kind=kind)
        fix = _("Save the rows to a file, and name that.")
        raise DataError.of("D123", message, Place(str(path)), fix=fix)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; unpack it if it is gzip.

    Raises:
        DataError: it cannot be opened (D105), is no regular file (D123), or the gzip stream is cut
            or damaged (D132).
    """
    with coded(str(path), _("text"), (OSError, EOFError, zlib.error, MemoryError)):
        require_regular_file(path)
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                yield raw
                return
            with gzip.open(raw) as unpacked:
                yield cast(BinaryIO, unpacked)


@dataclass(frozen=True)
class TextFile:
    """A text file whose bytes are in its encoding.

    Attributes:
        path: of the file.
        encoding: a Python codec that strips a byte-order mark.
        endless_line: the first line of more than `MAX_ROW_BYTES` characters, from 1.
        is_detected: whether the encoding was detected and is not UTF-8.
    """

    path: Path
    encoding: str
    endless_line: int | None
    is_detected: bool = False

    @classmethod
    def check(cls, path: Path, encoding: str | None) -> TextFile:
        """Read all bytes once.

        Args:
            path: of the file.
            encoding: None for UTF-8 or that of a byte-order mark; "auto" to detect it.

        Raises:
            DataError: empty (D121), not in its encoding (D101) or only in part (D102), in one that
                cannot be detected (D117), with NUL bytes (D103), or unpacking without end (D131).
        """
        with open_bytes(path) as file:
            head = file.read(_PIECE)
        if not head:
            fix = _("Export it again, or name another file.")
            raise DataError.of("D121", _("the file is empty"), Place(str(path)), fix=fix)
        by_mark = encoding_by_mark(head)
        is_auto = encoding == AUTO
        named = "utf-8" if is_auto or encoding is None else encoding
        if not by_mark and is_auto:
            named = detect_utf_16(head) or named
        codec = known_codec(by_mark or named, Place(str(path)))
        if head.startswith(codecs.BOM_UTF8) and codec == "utf-8":
            codec = "utf-8-sig"
        scanned = _scan(path, codec)
        if isinstance(scanned, _Misfit) and scanned.is_mixture and codec.startswith("utf-8"):
            raise DataError(_two_encodings(scanned, path))
        if isinstance(scanned, _Misfit) and is_auto and not by_mark:
            codec = detect_encoding(scanned.sample) or ""
            scanned = _scan(path, codec) if codec else scanned
            if isinstance(scanned, _Misfit):
                raise DataError(_undetected(path, scanned))
        if isinstance(scanned, _Misfit):
            place = Place(str(path), scanned.line)
            raise DataError(not_in_encoding(codec, scanned.sample, place, scanned.byte))
        is_detected = is_auto and not by_mark and codec != "utf-8"
        return cls(path, codec, scanned.first, is_detected)

    @contextmanager
    def open_text(self, position: int = 0) -> Iterator[TextIO]:
        """Open the text, maybe at a position that `tell` gave; line ends are unchanged."""
        with open_bytes(self.path) as file:
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            if position:
                text.seek(position)
            yield text

    @property
    def is_packed(self) -> bool:
        """Whether it is gzip, which can only be read from its start."""
        with self.path.open("rb") as raw:
            return raw.read(2) == b"\x1f\x8b"

    @property
    def detected(self) -> dict[str, str]:
        """The detected encoding, by its key in a recipe."""
        return {"encoding": self.encoding} if self.is_detected else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on an encoding other than UTF-8."""
        if self.encoding in ("utf-8", "utf-8-sig"):
            return ()
        if self.is_detected:
            note = _("{file} is read as {encoding} (detected)")
        else:
            note = _("{file} is read as {encoding}")
        return (note.format(file=self.path, encoding=self.encoding),)


@dataclass(frozen=True)
class TextFileSource:
    """A source that reads a text file."""

    text: TextFile

    @property
    def name(self) -> str:
        """The path."""
        return str(self.text.path)

    @property
    def detected(self) -> dict[str, str]:
        """What was detected, by the keys of a recipe."""
        return self.text.detected

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on how the file is read."""
        return self.text.notes


@dataclass(frozen=True)
class _Misfit:
    """The first bytes that are not in an encoding.

    Attributes:
        line: of these bytes.
        byte: the first of them.
        sample: bytes before and after it.
        first_good_line: the first line with many bytes beyond ASCII that are in the encoding.
    """

    line: int
    byte: int
    sample: bytes
    first_good_line: int | None

    @property
    def is_mixture(self) -> bool:
        """Whether earlier lines were in the encoding."""
        return self.first_good_line is not None and self.first_good_line < self.line


def _scan(path: Path, codec: str) -> _LongLine | _Misfit:
    """Decode everything; return the first line without end, or the first byte that does not fit.

    Raises:
        DataError: NUL bytes (D103), or unpacking without end (D131).
    """
    decoder = codecs.getincrementaldecoder(codec)()
    line, size = 1, 0
    beyond, long = _Beyond(), _LongLine()
    before = b""
    limit = max(_BOMB_BYTES, _BOMB_TIMES * path.stat().st_size)
    with open_bytes(path) as file:
        while True:
            piece = file.read(_PIECE)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                beyond.add(error.object[: error.start], line)
                after = error.object[error.start :] + file.read(_SAMPLE)
                return _Misfit(
                    line + error.object[: error.start].count(b"\n"),
                    error.object[error.start],
                    (before + error.object[: error.start])[-_SAMPLE:] + after[:_SAMPLE],
                    beyond.line if beyond.are_many else None,
                )
            except UnicodeError:  # codecs for names, such as idna, raise this without a position
                return _Misfit(line, piece[0] if piece else 0, piece[: 2 * _SAMPLE], None)
            if "\0" in text:
                raise DataError(_nul_byte(path, line + text[: text.index("\0")].count("\n"), piece))
            beyond.add(piece, line)
            long.add(text, line)
            line += _newlines(text)
            size += len(piece)
            if size > limit:
                raise DataError(_bomb(path, size))
            if not piece:
                return long
            before = piece[-_SAMPLE:]


def _newlines(text: str) -> int:
    return text.count("\n") or text.count("\r")


@dataclass
class _LongLine:
    """Finds a line without end. Lines within a piece are short.

    Attributes:
        first: the number of the first such line.
        run: characters of the line that continues at the end of the last piece.
    """

    first: int | None = None
    run: int = 0

    def add(self, text: str, line: int) -> None:
        """Add the next piece, which begins on a line."""
        sign = "\n" if "\n" in text else "\r"
        end = text.find(sign)
        self.run += len(text) if end < 0 else end
        if self.run > MAX_ROW_BYTES and self.first is None:
            self.first = line
        if end >= 0:
            self.run = len(text) - text.rfind(sign) - 1


@dataclass
class _Beyond:
    """Bytes beyond ASCII that are in the encoding.

    Attributes:
        count: of these bytes, until there are many.
        line: of the first.
    """

    count: int = 0
    line: int = 0

    def add(self, good: bytes, line: int) -> None:
        """Add more bytes, which begin on a line."""
        if good.isascii() or self.are_many:
            return
        if not self.count:
            first = next(i for i, byte in enumerate(good) if byte > 127)
            self.line = line + good[:first].count(b"\n")
        self.count += sum(byte > 127 for byte in good)

    @property
    def are_many(self) -> bool:
        """Whether there are too many for chance: a few bytes of GBK may be valid UTF-8."""
        return self.count > 16


def _bomb(path: Path, size: int) -> Problem:
    message = _("it unpacks to more than {times} times its size ({size} MB so far)").format(
        times=_BOMB_TIMES, size=size >> 20
    )
    fix = _("If that is right, unpack it yourself and give the file.")
    return Problem("D131", message, Place(str(path)), fix=fix)


def _nul_byte(path: Path, line: int, sample: bytes) -> Problem:
    guess = detect_utf_16(sample)
    if guess:
        return Problem(
            "D103",
            _("the file holds NUL bytes; it looks like {encoding}").format(encoding=guess),
            Place(str(path), line),
            fix=_("Use --encoding {encoding}, or save the file as UTF-8.").format(encoding=guess),
            flags=("--encoding", guess),
        )
    return Problem(
        "D103",
        _("the file holds a NUL byte; it is not clean text"),
        Place(str(path), line),
        fix=_("Export it again as UTF-8 text, or name its encoding with --encoding."),
    )


def _two_encodings(misfit: _Misfit, path: Path) -> Problem:
    return Problem(
        "D102",
        _(
            "two encodings in one file: {encoding} on line {first}, not here (byte {byte:#04x})"
        ).format(encoding="UTF-8", first=misfit.first_good_line, byte=misfit.byte),
        Place(str(path), misfit.line),
        fix=_("Save both parts in UTF-8 before joining them."),
    )


def _undetected(path: Path, misfit: _Misfit) -> Problem:
    message = _("the encoding cannot be detected (byte {byte:#04x} is not UTF-8)")
    fix = _("Name the encoding with --encoding, or save the file as UTF-8.")
    place = Place(str(path), misfit.line)
    return Problem("D117", message.format(byte=misfit.byte), place, fix=fix)

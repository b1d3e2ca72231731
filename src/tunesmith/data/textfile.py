"""Text files as bytes: what a single pass over them tells before anything is parsed.

The encoding is never guessed in silence: a byte-order mark decides, else it is UTF-8, else the
person says it. A guess is only ever named in the message.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tunesmith.errors import DataError, Place, Problem
from tunesmith.language import gettext as _

__all__ = ["TextFile", "open_bytes"]

_PIECE = 1 << 20
_BOMB_TIMES, _BOMB_BYTES = 20, 32 << 20
"""Text that unpacks to so many times its size, and to so much, is no text that people wrote."""
_TOLD_APART = (
    "gb18030",
    "big5",
    "shift_jis",
    "cp932",
    "euc_jp",
    "euc_kr",
    "cp949",
    "utf_16",
    "utf_32",
)
"""Encodings that bytes betray; those of one byte per character read any bytes at all."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacking it on the way if it is gzip.

    Raises:
        DataError: it cannot be opened (D105) or the gzip stream is cut or damaged (D132).
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                yield raw
                return
            with gzip.open(raw) as unpacked:
                yield cast(BinaryIO, unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            Problem(
                "D132",
                _("the gzip file is cut off or damaged: {reason}").format(reason=error),
                Place(str(path)),
                fix=_("Copy or export it again."),
            )
        ) from error
    except OSError as error:
        raise DataError(
            Problem(
                "D105",
                _("cannot read the file: {reason}").format(reason=error.strerror),
                Place(str(path)),
            )
        ) from error


@dataclass(frozen=True)
class TextFile:
    """A text file whose bytes are known to be good.

    Attributes:
        path: where it is.
        encoding: a Python codec that strips a byte-order mark.
        odd_quotes: whether the number of double quotes is odd, a sign that one is never closed.
    """

    path: Path
    encoding: str
    odd_quotes: bool

    @classmethod
    def check(cls, path: Path, encoding: str | None) -> TextFile:
        """Read all bytes once.

        Raises:
            DataError: empty (D121), not in its encoding (D101) or only in part (D102), with NUL
                bytes (D103), or unpacking without end (D131).
        """
        with open_bytes(path) as file:
            head = file.read(_PIECE)
            if not head:
                raise DataError(
                    Problem(
                        "D121",
                        _("the file is empty"),
                        Place(str(path)),
                        fix=_("Export it again, or name another file."),
                    )
                )
            by_mark = next((name for mark, name in _BOMS if head.startswith(mark)), None)
            codec = _known_codec(by_mark or encoding or "utf-8", path)
            if head.startswith(codecs.BOM_UTF8) and codec == "utf-8":
                codec = "utf-8-sig"
            return cls(path, codec, _scan(file, head, codec, path))

    @contextmanager
    def open_text(self) -> Iterator[TextIO]:
        """The text, with every kind of line end left as it is."""
        with open_bytes(self.path) as file:
            yield io.TextIOWrapper(file, encoding=self.encoding, newline="")

    @property
    def notes(self) -> tuple[str, ...]:
        """A word about an encoding that is not plain UTF-8."""
        if self.encoding in ("utf-8", "utf-8-sig"):
            return ()
        return (_("{file} is read as {encoding}").format(file=self.path, encoding=self.encoding),)


def _known_codec(name: str, path: Path) -> str:
    try:
        return codecs.lookup(name).name if name != "utf-8-sig" else name
    except LookupError:
        raise DataError(
            Problem(
                "D106",
                _('there is no encoding "{name}"').format(name=name),
                Place(str(path)),
                fix=_("Common ones: utf-8, gb18030, big5, shift_jis, cp1252, latin-1."),
            )
        ) from None


def _scan(file: BinaryIO, piece: bytes, codec: str, path: Path) -> bool:
    """Decode everything, count quotes; raise at the first byte that does not belong."""
    decoder = codecs.getincrementaldecoder(codec)()
    line, quotes, size = 1, 0, 0
    beyond = _Beyond()
    sample = piece
    while True:
        last = not piece
        try:
            text = decoder.decode(piece, final=last)
        except UnicodeDecodeError as error:
            beyond.add(error.object[: error.start], line)
            raise DataError(
                _not_in_encoding(error, line, codec, path, sample, beyond=beyond)
            ) from None
        if "\0" in text:
            line += _newlines(text[: text.index("\0")])
            raise DataError(
                Problem(
                    "D103",
                    _("the file holds a NUL byte; it is not clean text"),
                    Place(str(path), line),
                    fix=_("Export it again as UTF-8 text, or name its encoding with --encoding."),
                )
            )
        beyond.add(piece, line)
        line += _newlines(text)
        quotes += text.count('"')
        size += len(piece)
        if size > max(_BOMB_BYTES, _BOMB_TIMES * path.stat().st_size):
            raise DataError(_bomb(path, size))
        if last:
            return quotes % 2 == 1
        piece = file.read(_PIECE)


def _newlines(text: str) -> int:
    return text.count("\n") or text.count("\r")


@dataclass
class _Beyond:
    """Bytes beyond ASCII that were in the encoding.

    Attributes:
        count: of them, until there are enough.
        line: of the first.
    """

    count: int = 0
    line: int = 0

    def add(self, good: bytes, line: int) -> None:
        """Take some more bytes into account, which begin on a line."""
        if good.isascii() or self.are_many:
            return
        if not self.count:
            first = next(i for i, byte in enumerate(good) if byte > 127)
            self.line = line + good[:first].count(b"\n")
        self.count += sum(byte > 127 for byte in good)

    @property
    def are_many(self) -> bool:
        """Whether chance cannot have made them: a few bytes of GBK may be good UTF-8."""
        return self.count > 16


def _bomb(path: Path, size: int) -> Problem:
    return Problem(
        "D131",
        _("it unpacks to more than {times} times its size ({size} MB so far)").format(
            times=_BOMB_TIMES, size=size >> 20
        ),
        Place(str(path)),
        fix=_("If that is right, unpack it yourself and give the file."),
    )


def _not_in_encoding(
    error: UnicodeDecodeError,
    line: int,
    codec: str,
    path: Path,
    sample: bytes,
    *,
    beyond: _Beyond,
) -> Problem:
    bad = error.object[error.start]
    line += error.object[: error.start].count(b"\n")
    encoding = codec.removesuffix("-sig").upper()
    around = error.object[max(0, error.start - 20_000) : error.start + 20_000]
    guess = _guess(around if len(around) > 64 else sample)
    if beyond.are_many and beyond.line < line and codec.startswith("utf-8"):
        return Problem(
            "D102",
            _(
                "two encodings in one file: {encoding} on line {first}, not here (byte {byte:#04x})"
            ).format(encoding=encoding, first=beyond.line, byte=bad),
            Place(str(path), line),
            fix=_("Save both parts in UTF-8 before joining them."),
        )
    message = _("not {encoding} (byte {byte:#04x})").format(encoding=encoding, byte=bad)
    if guess in _TOLD_APART:
        message += "; " + _("it looks like {encoding}").format(encoding=guess)
        fix = _("Use --encoding {encoding}, or save the file as UTF-8.").format(encoding=guess)
    else:
        message += "; " + _("it could be cp1252, latin-1 or another; that is not guessed")
        fix = _("Name the encoding with --encoding, or save the file as UTF-8.")
    return Problem("D101", message, Place(str(path), line), fix=fix)


def _guess(sample: bytes) -> str | None:
    """The likeliest encoding, only ever to be named, never to be used unasked."""
    from charset_normalizer import from_bytes

    # Chinese Windows writes GBK; its superset reads every such file, so it is the name to suggest.
    family = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "cp936": "gb18030"}
    best = from_bytes(sample).best()
    return family.get(best.encoding, best.encoding) if best else None

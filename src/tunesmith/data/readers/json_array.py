"""A JSON array read one element at a time, in bounded memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TextIO

from tunesmith.data.rows import MAX_ROW_BYTES

__all__ = ["ArrayError", "ElementTooLongError", "Window", "elements_of", "is_cut_off"]

_FIRST_PIECE = 1 << 16
_BLANK = re.compile(r"[ \t\n\r]*")


class ArrayError(ValueError):
    """The text is no JSON array.

    Attributes:
        message: of the decoder.
        line: of the error, from 1, as is `column`.
        is_cut: whether the text just ends too early.
    """

    def __init__(self, message: str, line: int, column: int, *, is_cut: bool) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.is_cut = message, line, column, is_cut


class ElementTooLongError(ValueError):
    """An element has no end within `MAX_ROW_BYTES`.

    Attributes:
        line: on which it begins.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def elements_of(file: TextIO, decoder: json.JSONDecoder) -> Iterator[tuple[object, int]]:
    """Yield the elements of an array, each with its size in characters.

    Text is read in pieces. While an element does not fit, twice as much is read: linear work.

    Raises:
        ArrayError: it is no array.
        ElementTooLongError: an element has no end within `MAX_ROW_BYTES`.
        ValueError: the decoder refuses an element.
    """
    window = Window(file)
    window.expect("[", "Expecting an array")
    for _number in window.items("]"):
        yield window.element(decoder)
    if window.next_sign():
        raise window.error("Extra data", 0)


def is_cut_off(error: json.JSONDecodeError) -> bool:
    """Whether a text is good JSON up to its end, and ends too early."""
    rest = error.doc[error.pos :].rstrip()
    if rest in ("", "-") or error.msg.startswith("Unterminated string"):
        return True
    is_escape = error.msg.startswith("Invalid \\u") and re.fullmatch(r"[\\u0-9a-fA-F]{0,11}", rest)
    return bool(is_escape) or any(word.startswith(rest) for word in ("true", "false", "null"))


class Window:
    """The part of a text that is at hand, and where in the whole it begins.

    Attributes:
        line: of what comes next, from 1.
        has_escapes: whether characters of the last element are written as numbers.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._position = 0
        self._is_at_end = False
        self.line, self._column = 1, 1
        self.has_escapes = False

    def next_sign(self) -> str:
        """Skip what is blank; the next character, empty at the end of the text."""
        while True:
            self.take(_blank_end(self._text, self._position) - self._position)
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_more():
                return ""

    def expect(self, sign: str, message: str) -> None:
        """Take one character that must come next."""
        if self.next_sign() != sign:
            raise self.error(message, 0)
        self.take(1)

    def items(self, end: str) -> Iterator[int]:
        """Yield a number for each item of a list; the caller takes the item.

        Args:
            end: the sign after the last item, "]" or "}".
        """
        number = 0
        while self.next_sign() != end or number:
            yield number
            number += 1
            if self.next_sign() == end:
                break
            self.expect(",", "Expecting ',' delimiter")
        self.take(1)

    def element(self, decoder: json.JSONDecoder) -> tuple[object, int]:
        """Take one element, reading on until it and the character after it are there."""
        if not self.next_sign():
            raise self.error("Expecting value", 0)
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                offset, is_cut = error.pos - self._position, is_cut_off(error)
                if not self._read_more():
                    raise self.error(error.msg, offset, is_cut=is_cut) from None
            else:
                if _blank_end(self._text, end) < len(self._text) or not self._read_more():
                    size = end - self._position
                    self.has_escapes = self._text.find("\\u", self._position, end) >= 0
                    self.take(size)
                    return value, size

    def take(self, count: int) -> None:
        """Go on by some characters."""
        taken = self._text[self._position : self._position + count]
        newlines = taken.count("\n")
        self.line += newlines
        self._column = len(taken) - taken.rfind("\n") if newlines else self._column + count
        self._position += count

    def error(self, message: str, offset: int, *, is_cut: bool = False) -> ArrayError:
        """What is wrong some characters on."""
        self.take(offset)
        is_cut = is_cut or self._position >= len(self._text)
        return ArrayError(message, self.line, self._column, is_cut=is_cut)

    def _read_more(self) -> bool:
        """As much text again as is not taken yet; whether there was any."""
        if self._is_at_end:
            return False
        rest = self._text[self._position :]
        if len(rest) > MAX_ROW_BYTES:
            raise ElementTooLongError(self.line)
        piece = self._file.read(max(_FIRST_PIECE, len(rest)))
        self._is_at_end = not piece
        self._text, self._position = rest + piece, 0
        return bool(piece)


def _blank_end(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start

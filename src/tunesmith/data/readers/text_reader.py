"""Plain text: every line that is not blank is a row with one column, "text"."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import TextFile
from tunesmith.data.rows import Column, Row, in_chunks, too_long
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _

__all__ = ["LinesFile"]


@dataclass(frozen=True)
class LinesFile:
    """A checked text file.

    Attributes:
        text: the file.
    """

    text: TextFile
    columns: tuple[Column, ...] = (Column("text", "text"),)

    @classmethod
    def open(cls, text: TextFile) -> LinesFile:
        """Take a text file as lines.

        Raises:
            DataError: a line has no end (D150).
        """
        if text.endless_line is not None:
            raise DataError(too_long(Place(str(text.path), text.endless_line)))
        return cls(text)

    @property
    def name(self) -> str:
        """The path."""
        return str(self.text.path)

    @property
    def detected(self) -> dict[str, str]:
        """What was found out about its encoding, by the keys of a recipe."""
        return self.text.detected

    @property
    def notes(self) -> tuple[str, ...]:
        """A word about its encoding, if there is something to say."""
        return self.text.notes

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows."""
        wanted = columns is None or "text" in columns
        yield from in_chunks(
            (Row(index, {"text": text} if wanted else {}), len(text))
            for index, (_line, text) in enumerate(self._lines())
        )

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """The lines of some rows."""
        wanted = set(indices)
        return {
            index: Place(self.name, line)
            for index, (line, _text) in enumerate(self._lines())
            if index in wanted
        }

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Each line that is not blank, with its number; no other sign than CR and LF ends one."""
        with coded(self.name, _("text")), self.text.open_text() as file:
            for number, line in enumerate(file, start=1):
                if text := line.strip():
                    yield number, text

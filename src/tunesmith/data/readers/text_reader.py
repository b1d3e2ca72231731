"""Plain text: every line that is not blank is a row with the one column "text"."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tunesmith.data.readers.format import Format
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.tables import line_places
from tunesmith.data.readers.text_file import TextFile, TextFileSource
from tunesmith.data.rows import Column, Row, in_chunks, too_long
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _

__all__ = ["FORMAT", "LinesFile"]


@dataclass(frozen=True)
class LinesFile(TextFileSource):
    """A checked text file."""

    columns: tuple[Column, ...] = (Column("text", "text"),)

    @classmethod
    def open(cls, text: TextFile) -> LinesFile:
        """Check the lines of a text file.

        Raises:
            DataError: a line has no end (D150).
        """
        if text.endless_line is not None:
            raise DataError(too_long(Place(str(text.path), text.endless_line)))
        return cls(text)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows."""
        has_text = columns is None or "text" in columns
        yield from in_chunks(
            (Row(index, {"text": text} if has_text else {}), len(text))
            for index, (_line, text) in enumerate(self._lines())
        )

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the lines of some rows."""
        return line_places(self.name, (line for line, _text in self._lines()), indices)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line that is not blank, with its number; only CR and LF end a line."""
        with coded(self.name, _("text")), self.text.open_text() as file:
            for number, line in enumerate(file, start=1):
                if text := line.strip():
                    yield number, text


FORMAT = Format(
    "text",
    (".txt",),
    lambda path, options: LinesFile.open(TextFile.check(path, options.encoding)),
)

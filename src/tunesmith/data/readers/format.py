"""What a file format is: its name, its suffixes, its first bytes, and how to open a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.rows import Source

__all__ = ["Format", "ReadingOptions"]


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How to read data.

    Attributes:
        encoding: of text files; "auto" to detect it; None for UTF-8 or that of a byte-order mark.
        delimiter: between the fields of text tables; None or "auto" to detect it from the suffix or
            the first lines.
        config: configuration of a Hub data set.
        revision: branch, tag or commit of a Hub data set.
        header: names of the columns of text tables whose first line is a row; None if it names
            them.
        sheet: of Excel files; None for the first one.
        offsets: how positions in texts are counted; None: as nearly all rows agree.
    """

    encoding: str | None = None
    delimiter: str | None = None
    config: str | None = None
    revision: str | None = None
    header: tuple[str, ...] | None = None
    sheet: str | None = None
    offsets: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A file format that can be read.

    Attributes:
        name: in messages.
        suffixes: of the names of files, in lower case; text formats are also read with ".gz".
        open: opens a file, without reading all of it.
        first_bytes: by which a file is recognized whatever its name; none for text formats.
        takes: the options "header" and "sheet", where the format has them.
        recognizes: whether the first characters of a file are of this format; None: by its suffix.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path, ReadingOptions], Source]
    first_bytes: tuple[bytes, ...] = ()
    takes: tuple[str, ...] = ()
    recognizes: Callable[[str], bool] | None = None

    @property
    def is_text(self) -> bool:
        """Whether files are plain text."""
        return not self.first_bytes

"""CoNLL columns: a line per word with its tag, and a blank line after each sentence.

The word is in the first column and the tag in the last; of CoNLL-U they are FORM and UPOS. Rows
have "tokens" and "tags". Sang and De Meulder, "Introduction to the CoNLL-2003 shared task" (2003).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tunesmith.data.findings import BadRecords, Finding
from tunesmith.data.readers.format import Format, ReadingOptions
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.tables import line_places
from tunesmith.data.readers.text_file import TextFile, TextFileSource
from tunesmith.data.rows import MAX_ROW_BYTES, Column, Row, in_chunks, too_long
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import shortened

__all__ = ["FORMAT", "ConllFile", "looks_like_conll"]

_SAMPLE_LINES = 1000
_DOCUMENT = "-DOCSTART-"
_BLANK = " \t\r\n"
_FEWEST_LINES = 3
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_NO_WORD = re.compile(r"\d+[-.]\d+")
_CONLLU_FIELDS, _FORM, _UPOS = 10, 1, 3


@dataclass(frozen=True)
class _Sentence:
    """Some lines without a blank one between them.

    Attributes:
        line: of the first word.
        size: characters.
        words: the fields of each line, each with its line number.
    """

    line: int
    size: int
    words: Sequence[tuple[int, Sequence[str]]]


@dataclass(frozen=True)
class ConllFile(TextFileSource):
    """A checked file of words with tags.

    Attributes:
        width: columns of most lines.
        is_conllu: whether the file is in the format of Universal Dependencies.
    """

    width: int = 2
    is_conllu: bool = False

    @classmethod
    def open(cls, path: Path, options: ReadingOptions) -> ConllFile:
        """Count the columns of the first lines.

        Raises:
            DataError: a line has no end (D150), or there is no word (D120).
        """
        text = TextFile.check(path, options.encoding)
        if text.endless_line is not None:
            raise DataError(too_long(Place(str(path), text.endless_line)))
        is_conllu = path.name.lower().removesuffix(".gz").endswith(".conllu")
        lines = islice(cls(text, 0, is_conllu)._lines(), _SAMPLE_LINES)
        widths = Counter(len(fields) for _line, _size, fields in lines if fields)
        if not widths:
            fix = _("Add rows, or name another file.")
            raise DataError.of("D120", _("no rows"), Place(str(path)), fix=fix)
        width = max(widths, key=lambda count: (widths[count], count))
        return cls(text, width, is_conllu and width == _CONLLU_FIELDS)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The words, and the tags if there are several columns."""
        tags = (Column("tags", "tags"),) if self.width > 1 else ()
        return (Column("tokens", "tokens"), *tags)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all sentences; then raise a `BadRecordsError` for ragged ones (D340)."""
        bad = BadRecords(self)
        yield from in_chunks(self._good_rows(columns, bad))
        bad.raise_if_any()

    def _good_rows(
        self, columns: Collection[str] | None, bad: BadRecords
    ) -> Iterator[tuple[Row, int]]:
        first, last = (_FORM, _UPOS) if self.is_conllu else (0, self.width - 1)
        places = {"tokens": first} | ({"tags": last} if self.width > 1 else {})
        for index, sentence in enumerate(self._sentences()):
            wrong = next(((n, f) for n, f in sentence.words if self._is_wrong(f)), None)
            if wrong is not None:
                line, fields = wrong
                bad.reject(index, self._finding(fields), Place(self.name, line))
                continue
            values: dict[str, object] = {
                name: [fields[place] for _line, fields in sentence.words]
                for name, place in places.items()
                if columns is None or name in columns
            }
            yield Row(index, values), sentence.size

    def _is_wrong(self, fields: Sequence[str]) -> bool:
        return len(fields) != self.width or not fields[0]

    def _finding(self, fields: Sequence[str]) -> Finding:
        message = ngettext(
            '{count} column, not {width}: "{text}"',
            '{count} columns, not {width}: "{text}"',
            len(fields),
        ).format(count=len(fields), width=self.width, text=shortened(" ".join(fields)))
        if len(fields) == self.width:
            message = _('a tag without a word: "{text}"').format(text=" ".join(fields).strip())
        fix = _("Write a word and its tag on each line, and a blank line after each sentence.")
        return Finding("D340", message, fix)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the lines on which some sentences have a wrong number of columns, or begin."""
        if not indices:
            return {}
        lines = (
            next((n for n, fields in s.words if self._is_wrong(fields)), s.line)
            for s in self._sentences()
        )
        return line_places(self.name, lines, indices)

    def _sentences(self) -> Iterator[_Sentence]:
        """Yield the lines between blank ones.

        Raises:
            DataError: a sentence has no end (D150).
        """
        words: list[tuple[int, Sequence[str]]] = []
        size = 0
        for line, length, fields in self._lines():
            if fields:
                words.append((line, fields))
                size += length
                if size > MAX_ROW_BYTES:
                    fix = _("Write a blank line after each sentence.")
                    raise DataError(too_long(Place(self.name, words[0][0]), fix))
            elif words:
                yield _Sentence(words[0][0], size, words)
                words, size = [], 0
        if words:
            yield _Sentence(words[0][0], size, words)

    def _lines(self) -> Iterator[tuple[int, int, Sequence[str]]]:
        """Yield the number, the size and the fields of each line; none where a sentence ends."""
        with coded(self.name, "CoNLL"), self.text.open_text() as file:
            for number, line in enumerate(file, start=1):
                fields = _fields(line)
                if not fields or fields[0] == _DOCUMENT:
                    yield number, len(line), ()
                elif not (self._is_left_out(fields) if self.is_conllu else _is_comment(fields)):
                    yield number, len(line), fields

    @staticmethod
    def _is_left_out(fields: Sequence[str]) -> bool:
        """Whether a line is a comment, several words as one ("1-2"), or no word ("1.1")."""
        return fields[0].startswith("#") or _NO_WORD.fullmatch(fields[0]) is not None


def _fields(line: str) -> list[str]:
    """The columns of a line, which tabs separate, else spaces; a word may be any other blank."""
    content = line.rstrip(_BLANK)
    if "\t" in content:
        return [field.strip(" ") or field for field in content.split("\t")]
    return re.split(" +", content.lstrip(" ")) if content else []


def _is_comment(fields: Sequence[str]) -> bool:
    """Whether a line is a comment and not the word "#"."""
    return fields[0] == "#" and len(fields) > 1 and not _TAG.fullmatch(fields[-1])


def looks_like_conll(head: str) -> bool:
    """Return whether the first lines of a file are words with tags of entities.

    Args:
        head: its first characters; the last line may be cut.
    """
    lines = [_fields(line) for line in head.split("\n")[:-1] or [head]]
    words = [f for f in lines if f and f[0] != _DOCUMENT and not _is_comment(f)]
    widths = {len(fields) for fields in words}
    has_tags = all(_TAG.fullmatch(fields[-1]) for fields in words)
    return len(words) >= _FEWEST_LINES and min(widths) > 1 and has_tags


FORMAT = Format(
    "CoNLL",
    (".conll", ".conllu", ".bio", ".iob", ".iob2", ".bmes"),
    ConllFile.open,
    recognizes=looks_like_conll,
)

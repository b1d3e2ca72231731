"""Files in the format of SQuAD: articles with paragraphs and their questions, nested in one object.

A row is a question. Paragraphs are read one at a time, so that memory does not grow with the file;
several objects, as in JSON lines of articles or paragraphs, are read one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tunesmith.data import squad
from tunesmith.data.findings import BadRecords, Finding, unwritable_in
from tunesmith.data.readers.format import Format, ReadingOptions
from tunesmith.data.readers.json_array import Window
from tunesmith.data.readers.json_reader import DECODER, json_problem
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import TextFile, TextFileSource
from tunesmith.data.rows import Column, Row, in_chunks
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["FORMAT", "SquadFile", "looks_like_squad"]

_SAMPLE_ROWS = 1000
_MOST_WAITING = 1000
"""Paragraphs that are held until the title of their article comes."""
_LISTS = re.compile(r'(?<!\\)"(paragraphs|qas)"\s*:\s*\[\s*\{')
_ID = re.compile(r'"(?:id|qid|query_id)"\s*:\s*("(?:[^"\\]|\\.)*"|\d{1,18})')
_CONTEXT = re.compile(r'(?<!\\)"(context|context_text|qas)"\s*:')


@dataclass(frozen=True)
class _Paragraph:
    """A paragraph of a file.

    Attributes:
        line: on which it begins, from 1.
        title: of its article.
        values: as the file has them.
        size: characters, about.
        has_escapes: whether characters are written as numbers, such as halves of them.
    """

    line: int
    title: object
    values: object
    size: int
    has_escapes: bool


@dataclass(frozen=True)
class SquadFile(TextFileSource):
    """A checked file of questions.

    Attributes:
        columns: what some of the first questions have.
        has_lines: whether the file has several lines.
    """

    columns: tuple[Column, ...] = ()
    has_lines: bool = False

    @classmethod
    def open(cls, path: Path, options: ReadingOptions) -> SquadFile:
        """Read the first questions.

        Raises:
            DataError: it is no JSON (D140, D141), or there is no question (D120).
        """
        text = TextFile.check(path, options.encoding)
        sample = list(islice(cls(text)._questions(), _SAMPLE_ROWS))
        if not sample:
            fix = _("Add rows, or name another file.")
            raise DataError.of("D120", _("no rows"), Place(str(path)), fix=fix)
        rows = [row for _line, _size, row in sample if not isinstance(row, Finding)]
        columns = squad.columns_of(rows)
        return cls(text, columns, sample[-1][0] > 1)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all questions; then raise a `BadRecordsError` for what is none (D144, D365)."""
        bad = BadRecords(self)
        yield from in_chunks(self._good_rows(columns, bad))
        bad.raise_if_any()

    def _good_rows(
        self, columns: Collection[str] | None, bad: BadRecords
    ) -> Iterator[tuple[Row, int]]:
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        for index, (line, size, row) in enumerate(self._questions()):
            if isinstance(row, Finding):
                bad.reject(index, row, self._place(index, line))
            else:
                yield Row(index, {name: row[name] for name in names}), size

    def _place(self, index: int, line: int) -> Place:
        return Place(self.name, line) if self.has_lines else Place(self.name, row=index)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the lines of the ids of some questions; their numbers in a single line."""
        remaining = set(indices)
        if not self.has_lines:
            return {index: Place(self.name, row=index) for index in remaining}
        lines: dict[int, int] = {}
        by_id: dict[object, list[int]] = {}
        for index, (line, _size, row) in enumerate(self._questions() if remaining else ()):
            if index in remaining:
                lines[index] = line
                if not isinstance(row, Finding) and row["id"] is not None:
                    by_id.setdefault(row["id"], []).append(index)
        for line, written in self._ids() if by_id else ():
            for index in by_id.get(written, ()):
                if line >= lines[index]:  # where its paragraph begins
                    lines[index] = line
                    by_id[written].remove(index)
                    break
        return {index: Place(self.name, line) for index, line in lines.items()}

    def _ids(self) -> Iterator[tuple[int, object]]:
        """Yield everything that may be the id of a question, with its line."""
        with coded(self.name, "JSON"), self.text.open_text() as file:
            for line, text in enumerate(file, start=1):
                for match in _ID.finditer(text):
                    yield line, DECODER.decode(match[1])

    def _questions(self) -> Iterator[tuple[int, int, Mapping[str, object] | Finding]]:
        """Yield the row of each question, with the line of its paragraph and its size."""
        for paragraph in self._paragraphs():
            values: Any = paragraph.values
            if not squad.is_paragraph(values):
                message = _("not a paragraph with questions: {text}")
                fix = _("Write it like {example}.").format(example='{"context": "…", "qas": […]}')
                text = shortened(str(values))
                yield paragraph.line, 0, Finding("D144", message.format(text=text), fix)
                continue
            finding = unwritable_in(values) if paragraph.has_escapes else None
            size = paragraph.size // max(1, len(values[squad.QUESTIONS]))
            for row in squad.questions_of(values, paragraph.title):
                yield paragraph.line, size, finding or row

    def _paragraphs(self) -> Iterator[_Paragraph]:
        with coded(self.name, "JSON"), self.text.open_text() as file:
            try:
                window = Window(file)
                while window.next_sign():
                    yield from _values(window)
            except (ValueError, RecursionError) as error:
                raise DataError(json_problem(error, self.name)) from None


def _values(window: Window) -> Iterator[_Paragraph]:
    """Yield the paragraphs of an object, or of each object in a list."""
    if window.next_sign() == "[":
        window.take(1)
        for _number in window.items("]"):
            yield from _object(window, None)
    else:
        yield from _object(window, None)


def _object(window: Window, title: object) -> Iterator[_Paragraph]:
    """Yield the paragraphs of a file or an article; or the object itself, if it is a paragraph."""
    line = window.line
    window.expect("{", "Expecting an object")
    own: dict[str, object] = {"title": title} if title is not None else {}
    size, has_escapes = 0, False
    waiting: list[_Paragraph] = []
    for _number in window.items("}"):
        key, _size = window.element(DECODER)
        if not isinstance(key, str):
            raise window.error("Expecting property name enclosed in double quotes", 0)
        window.expect(":", "Expecting ':' delimiter")
        is_list = window.next_sign() == "["
        if key == squad.ARTICLES and is_list:
            window.take(1)
            for _item in window.items("]"):
                yield from _object(window, title)
        elif key == squad.PARAGRAPHS and is_list:
            window.take(1)
            for paragraph in _items(window, own.get("title")):
                waiting.append(paragraph)
                if "title" in own or len(waiting) > _MOST_WAITING:
                    yield from waiting
                    waiting.clear()
        else:
            own[key], taken = window.element(DECODER)
            size += taken
            has_escapes |= window.has_escapes
    title = own.get("title")
    yield from (replace(one, title=title) for one in waiting)
    if squad.QUESTIONS in own:
        yield _Paragraph(line, title, own, size, has_escapes)


def _items(window: Window, title: object) -> Iterator[_Paragraph]:
    for _number in window.items("]"):
        window.next_sign()
        line = window.line
        values, size = window.element(DECODER)
        yield _Paragraph(line, title, values, size, window.has_escapes)


def looks_like_squad(head: str) -> bool:
    """Return whether the first characters of a file are of paragraphs with questions."""
    is_json = head.removeprefix("\xef\xbb\xbf").lstrip()[:1] in ("{", "[")
    return is_json and bool(_LISTS.search(head) and _CONTEXT.search(head))


FORMAT = Format("SQuAD", (".squad",), SquadFile.open, recognizes=looks_like_squad)

"""Tables with one word per row, and the sentence that it is in: `Sentence #,Word,POS,Tag`.

A sentence may be named in each of its rows, or only in the first one, as in the NER table of
Kaggle. Rows of one sentence become one row; its place is that of the first word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.labels import is_missing
from tunesmith.data.rows import BadRecordsError, Column, Row, Source
from tunesmith.data.shapes.shape import Sample
from tunesmith.data.wrapped import WrappedSource
from tunesmith.i18n import gettext as _

__all__ = ["Sentences", "recognize"]

_SENTENCES = tuple(
    "sentence sentenceid sentid sentenceno sentencenum sentencenumber sentenceidx sentenceindex "
    "sentnum sentno sentidx sid 句子 句子编号 句子序号 句编号 句号 句id".split()
)
_WORDS = tuple("word words token tokens 词 单词 词语 字 字符 词元".split())
_TAGS = tuple("nertag nertags ner tag tags bio iob label labels 实体标签 标签 标注 实体".split())
_IS_MARKED = re.compile(r"[BIESLUM]-\S")
_AT_ONCE = 1024
"""Sentences in a chunk."""


def recognize(sample: Sample) -> Source | None:
    """Recognize a column of words, one of tags of entities, and one that names sentences."""
    sentence, word, tag = (sample.column(*names) for names in (_SENTENCES, _WORDS, _TAGS))
    if sentence is None or word is None or tag is None:
        return None
    words, tags = sample.values(word.name), sample.values(tag.name)
    if not words or not all(map(_is_word, words)):
        return None
    if not all(isinstance(one, str) for one in tags) or not any(map(_IS_MARKED.match, tags)):
        return None
    note = _("{name}: rows are words; those of one {column} are one text")
    note = note.format(name=sample.source.name, column=f'"{sentence.name}"')
    source = Sentences(sample.source, sentence, word.name, tag.name, own_notes=(note,))
    starts = sum(is_first for is_first, _row in source.marked(sample.rows))
    return source if starts < len(sample.rows) else None  # else each row is a sentence


def _is_word(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and " " not in value.strip())


@dataclass(frozen=True)
class Sentences(WrappedSource):
    """Rows of words as rows of sentences.

    Attributes:
        sentence: the column that names the sentence of a word.
        word: the column of the word.
        tag: the column of its tag.
    """

    sentence: Column
    word: str
    tag: str

    @property
    def columns(self) -> tuple[Column, ...]:
        """What sentences have; columns that differ from word to word are left out."""
        return (self.sentence, Column(self.word, "tokens"), Column(self.tag, "tags"))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all sentences; then raise a `BadRecordsError` for words that cannot be read."""
        chunk: list[Row] = []
        index = 0
        for words, error in self._sentences():
            if words:
                chunk.append(self._joined(index, words, columns))
                index += 1
            if chunk and (len(chunk) == _AT_ONCE or error is not None):
                yield chunk
                chunk = []
            if error is not None:
                raise error
        if chunk:
            yield chunk

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the row of the first word of some sentences; this reads the source."""
        requested = set(indices)
        sentences = enumerate(self._sentences()) if requested else ()
        return {i: words[0].index for i, (words, _error) in sentences if words and i in requested}

    def marked(self, rows: Iterable[Row]) -> Iterator[tuple[bool, Row]]:
        """Yield for each word whether it is the first of a sentence, and its row."""
        before: object = None
        for number, row in enumerate(rows):
            name = row.values.get(self.sentence.name)
            is_named = not is_missing(name) and name != ""
            yield number == 0 or (is_named and name != before), row
            before = name if is_named else before

    def _sentences(self) -> Iterator[tuple[list[Row], BadRecordsError | None]]:
        """Yield the words of each sentence; with the last one what cannot be read."""
        refused: list[BadRecordsError] = []

        def rows() -> Iterator[Row]:
            try:
                for chunk in self.source.chunks((self.sentence.name, self.word, self.tag)):
                    yield from chunk
            except BadRecordsError as error:
                refused.append(error)

        words: list[Row] = []
        for is_first, row in self.marked(rows()):
            if is_first and words:
                yield words, None
                words = []
            words.append(row)
        yield words, refused[0] if refused else None

    def _joined(self, index: int, words: Sequence[Row], columns: Collection[str] | None) -> Row:
        values = {
            self.sentence.name: words[0].values.get(self.sentence.name),
            self.word: ["" if is_missing(one) else str(one) for one in self._of(words, self.word)],
            self.tag: self._of(words, self.tag),
        }
        return Row(index, {k: v for k, v in values.items() if columns is None or k in columns})

    @staticmethod
    def _of(words: Sequence[Row], column: str) -> list[object]:
        return [row.values.get(column) for row in words]

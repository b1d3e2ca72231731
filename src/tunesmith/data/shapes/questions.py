"""Questions with answers from a text, in a table, or nested as in SQuAD.

A row has a "question", a "context", and "answers": a list of objects with "text" and "answer_start"
in characters, empty if the context does not answer. Where the data does not say at which of several
places an answer is, its first place counts, and "places" says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tunesmith.data import squad
from tunesmith.data.columns import plain_name
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column, Source, readable_rows
from tunesmith.data.shapes.answers import (
    Answer,
    are_in_place,
    are_structured,
    occurrences,
    read_answers,
    similar,
    start_of,
    ways_of,
)
from tunesmith.data.shapes.offsets import CHARACTERS, POSITIONS, Counting, say
from tunesmith.data.shapes.shape import ConvertedSource, ExplodedSource, Record, Sample, nested
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["named_columns", "recognize"]

_QUESTIONS = tuple("question query questiontext q 问题 提问 问 题目 问句".split())
_CONTEXTS = tuple(
    "context contexts passage paragraph document article story contexttext text "
    "上下文 文章 段落 材料 原文 正文 背景 文本 文档 篇章 短文".split()
)
_ANSWERS = tuple(
    "answers answer answertext answerstext answerspan 答案 答案列表 答案文本 回答 答".split()
)
_STARTS = tuple(
    "answerstart answersanswerstart answerstarts startposition start "
    "答案起始位置 答案开始位置 起始位置 开始位置 答案位置".split()
)
_IMPOSSIBLE = tuple("isimpossible impossible unanswerable 不可回答 无法回答 无答案".split())
_IDS = tuple("id qid questionid queryid 编号 序号".split())
_MOST = 0.9
"""The fraction of the values that must be answers; the task refuses the others."""
_IN_CONTEXT = 0.3
"""The fraction of the answers without starts that must be in the context."""
_SAMPLE = 20_000
"""Rows that say how starts are counted."""


def recognize(sample: Sample) -> Source | None:
    """Recognize questions on a context with answers from it."""
    rows = _exploded(sample)
    if rows is not None:
        sample = Sample(rows)
    question, context = sample.column(*_QUESTIONS), sample.column(*_CONTEXTS)
    if question is None or context is None or not sample.rows:
        return rows
    start = sample.column(*_STARTS)
    for name in _ANSWERS:
        column = sample.column(name)
        if column is None or column.name in (question.name, context.name):
            continue
        is_nested = rows is not None or _are_objects(sample, column)
        if is_nested or _are_parts(sample, context, column, start):
            return _wrapped(sample, question, context, column, start, are_cells=not is_nested)
    return rows


def named_columns(columns: Iterable[Column]) -> tuple[str | None, str | None, str | None]:
    """Return the columns of question, context and answers by their names, whatever they hold."""
    by_name = {plain_name(column.name): column.name for column in columns}
    question, context, answers = (
        next((by_name[name] for name in names if name in by_name), None)
        for names in (_QUESTIONS, _CONTEXTS, _ANSWERS)
    )
    return question, context, answers


def _exploded(sample: Sample) -> ExplodedSource | None:
    """The rows of articles or paragraphs; None if there are none."""
    names = (squad.ARTICLES, squad.PARAGRAPHS, squad.QUESTIONS)
    lists = [column.name for name in names if (column := sample.column(name))]
    if not lists:
        return None

    def explode(values: Record) -> Sequence[Record | Finding]:
        parsed = {name: nested(value) for name, value in values.items() if value is not None}
        return [
            row
            for title, paragraph in squad.paragraphs_of(parsed)
            for row in squad.questions_of(paragraph, title)
        ]

    rows = [row for each in sample.rows for row in explode(each.values)]
    if not rows:
        return None
    made = squad.columns_of([row for row in rows if not isinstance(row, Finding)])
    read = tuple(column.name for column in sample.source.columns)
    return ExplodedSource(sample.source, made, read, explode)


def _are_objects(sample: Sample, column: Column) -> bool:
    """Whether answers are lists of objects with a text, or objects of lists."""
    values = sample.values(column.name)
    structured = sum(map(are_structured, values))
    return any(map(_has_items, values)) and structured >= _MOST * len(values)


def _has_items(value: object) -> bool:
    return are_structured(value) and bool(nested(value))


def _are_parts(sample: Sample, context: Column, column: Column, start: Column | None) -> bool:
    """Whether answers are parts of the context, and no classes such as "yes" and "no"."""
    total = inside = 0
    distinct: set[str] = set()
    for row in sample.rows:
        text = row.values.get(context.name)
        try:
            answers = read_answers(row.values.get(column.name))
        except ValueError:
            return False
        if answers and isinstance(text, str):
            total += 1
            inside += any(occurrences(text, one.text.strip()) for one in answers)
            distinct.update(one.text for one in answers)
    if not total or inside < _IN_CONTEXT * total:
        return False
    has_starts = start is not None and bool(sample.values(start.name))
    are_classes = 1 < len(distinct) <= min(total // 2, max(2, total // 4))
    return has_starts or not are_classes


@dataclass(frozen=True)
class _Names:
    """Columns of a row: each is read, the second to the last only where there is one."""

    question: str
    context: str
    answers: str
    start: str | None
    impossible: str | None
    id: str | None

    @property
    def read(self) -> tuple[str, ...]:
        """Those that answers are made from."""
        names = (self.context, self.answers, self.start, self.impossible, self.id)
        return tuple(name for name in names if name is not None)


@dataclass(frozen=True)
class _Convert:
    """Turns the answers of a row into objects with a text and its start.

    Attributes:
        names: of the columns.
        ways: to count starts.
        are_cells: whether an answer is a text in a table, so that an empty one says that there is
            none.
    """

    names: _Names
    ways: Sequence[Counting]
    are_cells: bool

    def __call__(self, values: Record) -> Record | Finding:
        """Return the answers; the task says what is wrong with values that are none.

        What is wrong may be: the answer is not at its start (D351), nor anywhere (D352), or there
        is none according to the data (D353).
        """
        names = self.names
        context = values.get(names.context)
        answers = _read(values, names)
        has_context = isinstance(context, str) and bool(context.strip())
        if isinstance(answers, str) or (answers and not has_context):
            return {}
        if answers is None:
            return {names.answers: [] if self.are_cells else None}
        is_impossible = names.impossible is not None and _is_true(values.get(names.impossible))
        if answers and is_impossible:
            message = _('it has no answer according to "{column}", and the answer "{text}"').format(
                column=names.impossible, text=shortened(answers[0].text)
            )
            return self._finding("D353", message, _("Correct one of them."), values)
        if not answers and names.impossible is not None and not is_impossible:
            is_said = values.get(names.impossible) is not None
            return {names.answers: None if is_said and not self.are_cells else []}
        return self._located(str(context), answers, values)

    def _located(self, context: str, answers: Sequence[Answer], values: Record) -> Record | Finding:
        way = next((one for one in self.ways if are_in_place(context, answers, one)), self.ways[0])
        located: list[Record] = []
        for answer in answers:
            text = answer.text.strip()
            place = start_of(context, answer, way)
            if place is not None:
                located.append({"text": text, "answer_start": place})
                continue
            places = occurrences(context, text)
            if answer.start is not None or not places:
                return self._misplaced(context, answer, places, values)
            several = {"places": len(places)} if len(places) > 1 else {}
            located.append({"text": text, "answer_start": places[0], **several})
        return {self.names.answers: located}

    def _misplaced(
        self, context: str, answer: Answer, places: Sequence[int], values: Record
    ) -> Finding:
        text, start = answer.text.strip(), answer.start
        if not places or start is None:
            message = _('the answer "{text}" is not in the context').format(text=shortened(text))
            if other := similar(context, text):
                message += ", " + _('which has "{text}"').format(text=shortened(other))
            return self._finding(
                "D352", message, _("Copy the answer from the context, letter by letter."), values
            )
        place = min(places, key=lambda one: abs(one - start))
        message = _('the answer "{text}" is not at {start} but at {place} ({distance:+d})').format(
            text=shortened(text), start=start, place=place, distance=place - start
        )
        fix = _("Count characters (code points) of the context from 0.")
        others = [way for way in POSITIONS if start_of(context, answer, way) is not None]
        if others:
            fix = (
                _("This row fits if {how}; others do not.").format(how=say(others[0])) + "\n" + fix
            )
        return self._finding("D351", message, fix, values)

    def _finding(self, code: str, message: str, fix: str, values: Record) -> Finding:
        number = values.get(self.names.id) if self.names.id else None
        if number is not None:
            message = _("question {id}: {message}").format(id=number, message=message)
        return Finding(code, message, fix)


def _read(values: Record, names: _Names) -> list[Answer] | str | None:
    """The answers of a row, None if they are missing; what is wrong if they are no answers."""
    start = values.get(names.start) if names.start is not None else None
    try:
        return read_answers(values.get(names.answers), start)
    except ValueError as error:
        return str(error)


def _is_true(value: object) -> bool:
    return value is True or str(value).strip().casefold() in ("true", "1", "yes", "是")


def _wrapped(
    sample: Sample,
    question: Column,
    context: Column,
    answers: Column,
    start: Column | None,
    *,
    are_cells: bool,
) -> ConvertedSource:
    impossible, number = sample.column(*_IMPOSSIBLE), sample.column(*_IDS)
    names = _Names(
        question.name,
        context.name,
        answers.name,
        None if start is None else start.name,
        None if impossible is None else impossible.name,
        None if number is None else number.name,
    )

    def pairs() -> Iterator[tuple[str, Sequence[Answer]]]:
        for row in islice(readable_rows(sample.source, names.read), _SAMPLE):
            text, marked = row.values.get(context.name), _read(row.values, names)
            if isinstance(text, str) and isinstance(marked, list):
                yield text, marked

    ways = ways_of(pairs())
    notes = []
    if ways[0] is not CHARACTERS:
        how = _("{name}: {how}; they are converted")
        notes.append(how.format(name=sample.source.name, how=say(ways[0])))
    made = (
        Column(question.name, "question"),
        Column(context.name, "context"),
        Column(answers.name, "answers"),
    )
    return ConvertedSource(
        sample.source,
        made,
        names.read,
        _Convert(names, ways, are_cells),
        own_notes=tuple(notes),
    )

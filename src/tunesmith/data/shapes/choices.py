"""Questions with several choices, in a list, with keys, or in a column for each choice.

The names of columns are those of SWAG, HellaSwag, ARC, CommonsenseQA, OpenBookQA, RACE, MMLU, PIQA,
COPA, SocialIQA, CosmosQA, WinoGrande and C-Eval, and what users call the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.columns import plain_name
from tunesmith.data.profile import as_text
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes.choice_lists import (
    KEY,
    ChoiceReader,
    InOneColumn,
    Listed,
    numbered_columns,
    stem_of,
)
from tunesmith.data.shapes.shape import ConvertedSource, Record, Sample
from tunesmith.i18n import gettext as _

__all__ = ["UnknownKey", "recognize"]

_LISTS = tuple(
    "choices options endings candidates answerchoices answeroptions alternatives answers "
    "选项 候选 候选项 备选答案 选择".split()
)
_CONTEXTS = tuple(
    "sent1 ctx context premise passage article story paragraph document startphrase "
    "上下文 文章 段落 材料 原文 短文 篇章".split()
)
_QUESTIONS = tuple(
    "question questionstem stem query goal problem sent2 prompt sentence ask input text "
    "问题 题目 题干 提问 问".split()
)
_LABELS = tuple(
    "label labels goldlabel gold answerkey answer correctanswer correctoption correct answeridx "
    "answerindex target key cop 答案 正确答案 正确选项 标签".split()
)
_COUNTED_FROM_0 = frozenset({"sol", "choice", "ending", "solution"})
_COPA = {
    "cause": "What was the cause of this?",
    "effect": "What happened as a result?",
}
_COLUMN = "choices"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class UnknownKey(str):
    """A label that is none of the keys of its row.

    Attributes:
        known: the keys.
    """

    __slots__ = ("known",)

    known: tuple[str, ...]

    @classmethod
    def of(cls, label: object, known: Sequence[str]) -> UnknownKey:
        """Return a label with the keys of its row."""
        key = cls(as_text(label))
        key.known = tuple(known)
        return key


def recognize(sample: Sample) -> Source | None:
    """Recognize a question with choices, and the label if there is one."""
    columns = sample.source.columns
    context, question = sample.column(*_CONTEXTS), sample.column(*_QUESTIONS)
    first = question or context
    candidates = [c for name in _LISTS if (c := sample.column(name)) is not None]
    readers: list[ChoiceReader] = [InOneColumn(column.name) for column in candidates]
    if question is not None:  # of ARC's own files: {"stem": …, "choices": […]}
        readers.append(InOneColumn(question.name))
    readers += numbered_columns(columns)
    if first is None or not readers or not sample.rows:
        return None
    reader = next((one for one in readers if _are_choices(sample, one)), None)
    if reader is None:
        return None
    question, context = _texts(sample, reader, question, context)
    labels = [c for name in _LABELS if (c := sample.column(name)) and c.name not in reader.read]
    label = next((column for column in labels if _are_keys(sample, reader, column)), None)
    may_be_answers = isinstance(reader, InOneColumn) and plain_name(reader.column) == "answers"
    has_others = bool(labels) and bool(sample.values(labels[0].name))
    if question is None or (label is None and (has_others or may_be_answers)):
        return None
    return _wrapped(sample, reader, question, context, label)


def _are_choices(sample: Sample, reader: ChoiceReader) -> bool:
    """Whether most rows have several texts to choose from."""
    listed = [reader(row.values) for row in sample.rows]
    several = sum(
        one is not None and len(one.texts) > 1 and all(isinstance(t, str) for t in one.texts)
        for one in listed
    )
    return 2 * several > len(listed)


def _texts(
    sample: Sample, reader: ChoiceReader, question: Column | None, context: Column | None
) -> tuple[Column | None, Column | None]:
    """Return the columns of the question and of its context; a context alone is the question."""
    own = None if question is None else question.name
    if (
        own is not None
        and own in reader.read
        and not any(listed.question for row in sample.rows if (listed := reader(row.values)))
    ):
        question = None
    if context is not None and context.name in reader.read:
        context = None
    if question is None:
        return context, None
    is_text = all(isinstance(value, str) for value in sample.values(question.name))
    if own not in reader.read and not is_text:
        return context, None
    if context is not None and plain_name(context.name) == "ctx":
        return context, None  # of HellaSwag, which is whole
    return question, context


def _are_keys(sample: Sample, reader: ChoiceReader, column: Column) -> bool:
    """Whether the values of a column may be keys of choices: letters, numbers, or their texts."""
    known = total = 0
    for row in sample.rows:
        value, listed = row.values.get(column.name), reader(row.values)
        if listed is None or _is_missing(value):
            continue
        total += 1
        known += _key_of(value) is not None or _place_of_text(value, listed) is not None
    return 2 * known >= total


def _is_missing(value: object) -> bool:
    return value is None or value == -1 or (isinstance(value, str) and value.strip() in ("", "-1"))


def _place_of_text(value: object, listed: Listed) -> int | None:
    texts = [as_text(text).strip() for text in listed.texts]
    text = as_text(value).strip()
    return texts.index(text) if text in texts else None


@dataclass(frozen=True)
class _Convert:
    """Turns a row into canonical values.

    Attributes:
        reader: of the choices.
        question: the column of the question.
        made: the column of the choices.
        label: that of the label; None without.
        first: what the labels that are numbers count from.
        are_texts: whether labels are the texts of choices.
    """

    reader: ChoiceReader
    question: str
    made: str
    label: str | None
    first: int
    are_texts: bool

    def __call__(self, values: Record) -> Record:
        """Return the choices, the question where it is not a text, and the label as a number."""
        listed = self.reader(values)
        made: dict[str, object] = {}
        question = values.get(self.question)
        if listed is not None:
            made[self.made] = list(listed.texts)
            if listed.question is not None:
                made[self.question] = listed.question
        if self.made not in made and self.made not in values:
            made[self.made] = None
        if isinstance(question, str) and question.strip().casefold() in _COPA:
            made[self.question] = _COPA[question.strip().casefold()]
        if self.label is not None:
            made[self.label] = self._label(values.get(self.label), listed)
        return made

    def _label(self, value: object, listed: Listed | None) -> object:
        if _is_missing(value):
            return None
        if listed is None:
            return value
        if self.are_texts:
            place = _place_of_text(value, listed)
        else:
            place = _place_of_key(value, listed, self.first)
            if place is None:
                place = _place_of_text(value, listed)
        return place if place is not None else UnknownKey.of(value, self._keys(value, listed))

    def _keys(self, value: object, listed: Listed) -> tuple[str, ...]:
        """Return what the label of a row could be."""
        if self.are_texts:
            return tuple(map(str, listed.texts))
        if listed.keys:
            return listed.keys
        numbers = listed.numbers or range(len(listed.texts))
        if _number_of(value) is not None:
            return tuple(str(number + self.first) for number in numbers)
        return tuple(_LETTERS[number] for number in numbers if number < len(_LETTERS))


def _key_of(value: object) -> str | None:
    """Return the letter or number that a label is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    match = KEY.fullmatch(as_text(value))
    return None if match is None else match[1].upper()


def _number_of(value: object) -> int | None:
    key = _key_of(value)
    return int(key) if key is not None and key.isdecimal() else None


def _place_of_key(value: object, listed: Listed, first: int) -> int | None:
    """Return which choice a label names, None if none."""
    key = _key_of(value)
    if key is None:
        return None
    keys = [one.strip().upper() for one in listed.keys]
    if keys:
        return keys.index(key) if key in keys else None
    if key.isdecimal():
        return listed.place(int(key) - first)
    return listed.place(_LETTERS.index(key)) if key in _LETTERS else None


def _first_number(sample: Sample, reader: ChoiceReader, label: Column | None) -> int:
    """Return what labels that are numbers count from: 0, or 1 if they never are 0."""
    if label is None or label.class_names:
        return 0
    numbers, beyond = set[int](), False
    for row in sample.rows:
        value, listed = row.values.get(label.name), reader(row.values)
        number = _number_of(value)
        if listed is None or listed.keys or _is_missing(value) or number is None:
            continue
        numbers.add(number)
        beyond |= number == len(listed.texts)
    if 0 in numbers or not numbers:
        return 0
    return 1 if beyond or _counts_from_1(reader) else 0


def _counts_from_1(reader: ChoiceReader) -> bool:
    """Whether columns are numbered from 1, and no known data set with their name counts from 0."""
    if isinstance(reader, InOneColumn) or "1" not in reader.columns or "0" in reader.columns:
        return False
    return stem_of(reader.columns["1"]) not in _COUNTED_FROM_0


def _wrapped(
    sample: Sample,
    reader: ChoiceReader,
    question: Column,
    context: Column | None,
    label: Column | None,
) -> ConvertedSource:
    names = [column.name for column in sample.source.columns]
    is_list = isinstance(reader, InOneColumn) and reader.column != question.name
    choices = reader.read[0] if is_list else _free(_COLUMN, names)
    first = _first_number(sample, reader, label)
    pairs = [
        (value, listed)
        for row in sample.rows
        if label is not None
        and not _is_missing(value := row.values.get(label.name))
        and (listed := reader(row.values)) is not None
    ]
    are_texts = bool(pairs) and all(
        isinstance(value, str) and _place_of_text(value, listed) is not None
        for value, listed in pairs
    )
    made = [Column(question.name, "question"), Column(choices, "choices")]
    if context is not None:
        made.append(Column(context.name, "context"))
    read = [*reader.read, question.name]
    notes: list[str] = []
    if label is not None:
        made.append(Column(label.name, "choice"))
        read.append(label.name)
        if first and not are_texts:
            text = _('"{column}" counts choices from {first}')
            notes.append(text.format(column=label.name, first=first))
    name = None if label is None else label.name
    convert = _Convert(reader, question.name, choices, name, first, are_texts)
    return ConvertedSource(
        sample.source, tuple(made), tuple(dict.fromkeys(read)), convert, own_notes=tuple(notes)
    )


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name

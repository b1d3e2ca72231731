"""Questions with several choices, in a list, with keys, or in a column for each choice.

The names of columns are those of SWAG, HellaSwag, ARC, CommonsenseQA, OpenBookQA, RACE, MMLU, PIQA,
COPA, SocialIQA, CosmosQA, WinoGrande and C-Eval, and what users call the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.columns import plain_name
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes.choice_labels import (
    LETTERS,
    Place,
    UnknownKey,
    is_missing,
    key_of,
    number_of,
    place_of_key,
    place_of_text,
    plain_label,
)
from tunesmith.data.shapes.choice_lists import (
    ChoiceReader,
    InOneColumn,
    Listed,
    numbered_columns,
    stem_of,
)
from tunesmith.data.shapes.shape import ConvertedSource, Record, Sample, nested
from tunesmith.i18n import gettext as _

__all__ = ["recognize"]

_LISTS = tuple(
    "choices options endings candidates answerchoices answeroptions alternatives answers "
    "选项 候选 候选项 备选答案 选择".split()
)
_ARTICLES = tuple("passage article story paragraph document 文章 段落 材料 原文 短文 篇章".split())
"""Contexts to which several questions belong."""
_CONTEXTS = (*"sent1 ctx context premise".split(), *_ARTICLES, "startphrase", "上下文")
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
    if label is None and isinstance(reader, InOneColumn):  # each row of which is refused
        label = next((column for column in labels if _are_lists(sample, column)), None)
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
        listed = reader(row.values)
        value = plain_label(row.values.get(column.name), listed)
        if listed is None or is_missing(value):
            continue
        total += 1
        is_key = isinstance(value, Place) or key_of(value) is not None
        known += is_key or place_of_text(value, listed) is not None
    return 2 * known >= total


def _are_lists(sample: Sample, column: Column) -> bool:
    """Whether the values of a column are lists, of which a label is none."""
    values = [nested(value) for value in sample.values(column.name)]
    return bool(values) and all(isinstance(value, list) for value in values)


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

    def __call__(self, values: Record) -> Record | Finding:
        """Return the choices, the question where it is not a text, and the label as a number."""
        listed = self.reader(values)
        if listed is not None and listed.keys and len(listed.keys) != len(listed.texts):
            message = _("{choices} choices with {keys} keys").format(
                choices=len(listed.texts), keys=len(listed.keys)
            )
            return Finding("D368", message, _("Correct or remove the row."))
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
        value = plain_label(nested(value), listed)
        if is_missing(value):
            return None
        if listed is None:
            return value
        if isinstance(value, Place):
            return value.number
        if self.are_texts:
            place = place_of_text(value, listed)
        else:
            place = place_of_key(value, listed, self.first)
            if place is None:
                place = place_of_text(value, listed)
        return place if place is not None else UnknownKey.of(value, self._keys(value, listed))

    def _keys(self, value: object, listed: Listed) -> tuple[str, ...]:
        """Return what the label of a row could be."""
        if self.are_texts:
            return tuple(map(str, listed.texts))
        if listed.keys:
            return listed.keys
        numbers = listed.numbers or range(len(listed.texts))
        if number_of(value) is not None:
            return tuple(str(number + self.first) for number in numbers)
        return tuple(LETTERS[number] for number in numbers if number < len(LETTERS))


def _first_number(sample: Sample, reader: ChoiceReader, label: Column | None) -> int:
    """Return what labels that are numbers count from: 0, or 1 if they never are 0."""
    if label is None or label.class_names:
        return 0
    numbers, beyond = set[int](), False
    for row in sample.rows:
        listed = reader(row.values)
        value = plain_label(row.values.get(label.name), listed)
        number = number_of(value)
        if listed is None or listed.keys or is_missing(value) or number is None:
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
        and (listed := reader(row.values)) is not None
        and not is_missing(value := plain_label(row.values.get(label.name), listed))
    ]
    are_texts = bool(pairs) and all(
        isinstance(value, str) and place_of_text(value, listed) is not None
        for value, listed in pairs
    )
    made = [Column(question.name, "question"), Column(choices, "choices")]
    if context is not None:
        is_article = plain_name(context.name) in _ARTICLES
        made.append(Column(context.name, "article" if is_article else "context"))
    read = [*reader.read, question.name]
    notes: list[str] = []
    if label is not None:
        made.append(Column(label.name, "choice"))
        read.append(label.name)
        if are_texts and all(key_of(value) is not None for value, _listed in pairs):
            notes.append(_('"{column}" holds the text of the choice').format(column=label.name))
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

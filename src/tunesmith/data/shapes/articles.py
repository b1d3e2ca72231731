"""Articles with several questions each, as in the files of RACE: one row becomes several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes import choices
from tunesmith.data.shapes.shape import ExplodedSource, Record, Sample, nested
from tunesmith.i18n import gettext as _

__all__ = ["recognize"]

_ARTICLE, _QUESTION, _CHOICES, _ANSWER = "article", "question", "options", "answer"
_MADE = (
    Column(_ARTICLE, "text"),
    Column(_QUESTION, "text"),
    Column(_CHOICES, "list"),
    Column(_ANSWER, "text"),
)


def recognize(sample: Sample) -> Source | None:
    """Recognize texts with a list of questions, a list of choices for each, and their answers."""
    article = sample.column(
        "article", "passage", "context", "story", "text", "文章", "短文", "材料"
    )
    columns = [
        sample.column(*names.split())
        for names in (
            "questions question 问题",
            "options choices 选项",
            "answers answer labels 答案",
        )
    ]
    questions, options, answers = columns
    if article is None or questions is None or options is None:
        return None
    read = [column.name for column in (questions, options, answers) if column is not None]
    if not _are_lists(sample, read[:2]):
        return None

    def explode(values: Record) -> Sequence[Record | Finding]:
        lists = [nested(values.get(name)) for name in read]
        if not all(isinstance(one, list) for one in lists):
            return [_finding(lists)]
        if len(set(map(len, lists))) > 1:
            return [_finding(lists)]
        parts: list[list[Any]] = lists
        text = values.get(article.name)
        names = (_QUESTION, _CHOICES, _ANSWER)
        return [
            {_ARTICLE: text, **dict(zip(names, one, strict=False))}
            for one in zip(*parts, strict=True)
        ]

    made = _MADE if answers is not None else _MADE[:-1]
    exploded = ExplodedSource(sample.source, made, (article.name, *read), explode)
    return choices.recognize(Sample(exploded))


def _are_lists(sample: Sample, names: Sequence[str]) -> bool:
    """Whether most rows have a list of questions, and as many lists of choices."""
    pairs = [[nested(row.values.get(name)) for name in names] for row in sample.rows]
    fitting = sum(
        isinstance(texts, list)
        and isinstance(listed, list)
        and all(isinstance(one, str) for one in texts)
        and any(isinstance(one, list) for one in listed)
        for texts, listed in pairs
    )
    return 2 * fitting > len(pairs)


def _finding(lists: Sequence[object]) -> Finding:
    counts = [len(one) if isinstance(one, list) else 0 for one in lists]
    message = _("{questions} questions with choices for {choices} and answers to {answers}")
    answers = counts[2] if len(counts) > 2 else 0
    message = message.format(questions=counts[0], choices=counts[1], answers=answers)
    return Finding("D368", message, _("Give each question its choices and its answer."))

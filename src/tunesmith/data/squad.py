"""Questions in the format of SQuAD: articles of paragraphs, each with its questions, as flat rows.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (2016), and "Know
What You Don't Know: Unanswerable Questions for SQuAD" (2018). CMRC 2018, DRCD, KorQuAD, MLQA, XQuAD
and CUAD have the same format; what CMRC 2018 and MRQA call otherwise is read, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = [
    "ARTICLES",
    "COLUMNS",
    "PARAGRAPHS",
    "QUESTIONS",
    "columns_of",
    "is_paragraph",
    "paragraphs_of",
    "questions_of",
]

COLUMNS = {
    "id": "text",
    "title": "text",
    "question": "text",
    "context": "text",
    "answers": "list",
    "is_impossible": "boolean",
}
_OPTIONAL = ("id", "title", "is_impossible")
ARTICLES, PARAGRAPHS, QUESTIONS = "data", "paragraphs", "qas"
"""Keys of the lists."""

_CONTEXTS = ("context", "context_text")
_TEXTS = ("question", "query_text")
_IDS = ("id", "qid", "query_id")

Object = Mapping[str, Any]


def columns_of(rows: Sequence[Object]) -> tuple[Column, ...]:
    """Return the columns of rows as `questions_of` makes them, without those that none has."""
    return tuple(
        Column(name, kind)
        for name, kind in COLUMNS.items()
        if name not in _OPTIONAL or any(row[name] is not None for row in rows)
    )


def is_paragraph(value: object) -> bool:
    """Return whether an object has a list of questions."""
    return isinstance(value, Mapping) and isinstance(value.get(QUESTIONS), list | tuple)


def paragraphs_of(value: object, title: object = None) -> Iterator[tuple[object, Object]]:
    """Yield the paragraphs of a file, an article, a paragraph, or a list of these, with titles."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from paragraphs_of(item, title)
    elif isinstance(value, Mapping):
        title = value.get("title", title)
        if is_paragraph(value):
            yield title, value
        for key in (ARTICLES, PARAGRAPHS):
            yield from paragraphs_of(value.get(key), title)


def questions_of(paragraph: Object, title: object) -> Iterator[Mapping[str, object] | Finding]:
    """Yield the row of each question of a paragraph, or what is wrong with it (D365)."""
    context = _first(paragraph, _CONTEXTS)
    for item in paragraph[QUESTIONS]:
        if not isinstance(item, Mapping):
            message = _("not a question: {value}").format(value=shortened(str(item)))
            example = '{"id": "1", "question": "…", "answers": []}'
            yield Finding("D365", message, _("Write it like {example}.").format(example=example))
            continue
        values = (
            _first(item, _IDS),
            title,
            _first(item, _TEXTS),
            context,
            _answers(item),
            item.get("is_impossible"),
        )
        yield dict(zip(COLUMNS, values, strict=True))


def _first(values: Object, keys: Sequence[str]) -> object:
    return next((values[key] for key in keys if key in values), None)


def _answers(item: Object) -> object:
    """The answers; where MRQA marked their texts in the context, these."""
    marked = item.get("detected_answers")
    if not isinstance(marked, list):
        return item.get("answers")
    return [
        {"text": one.get("text"), "answer_start": span[0]}
        for one in marked
        if isinstance(one, Mapping)
        for span in one.get("char_spans") or ()
        if isinstance(span, list) and span
    ]

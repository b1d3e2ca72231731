"""Queries with passages, as data sets for rerankers hold them, as a row for each passage.

Recognized are a query with texts that answer it and texts that do not (FlagEmbedding's `pos` and
`neg`, the `positive` and `negative` of triples, numbered ones, `positive_passages` of Tevatron,
MIRACL and Mr. TyDi), a query with passages of which some are selected (MS MARCO), and a query with
nothing but candidates, as a search gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.data.columns import NOT_CONTENT, plain_name
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes.shape import ExplodedSource, Record, Sample, nested
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["recognize"]

QUERY, PASSAGE, LABEL, PASSAGE_ID = "query", "passage", "label", "passage_id"
"""The columns that are made; the first two are also their types."""

_QUERIES = ("query", "question", "searchquery", "查询", "问题", "检索词")
_POSITIVES = ("pos", "positive", "positives", "positivepassages", "positivectxs", "正例", "正样本")
_NEGATIVES = (
    "neg", "negative", "negatives", "negativepassages", "hardnegatives", "hardnegative",
    "hardnegativectxs", "负例", "负样本",
)  # fmt: skip
_CANDIDATES = ("passages", "documents", "docs", "候选段落", "候选文档")
_IDS = ("queryid", "qid")
_NUMBERED = re.compile(r"(pos|positive|neg|negative|hardnegative)(\d+)")
_TEXTS = ("text", "passage_text", "contents", "content", "passage")
_SELECTED = ("is_selected", "is_relevant", "label")
_PASSAGE_IDS = ("docid", "doc_id", "pid", "passage_id", "id")

Marked = tuple[object, object, object]
"""A passage: its text, its label, its id or None."""


def recognize(sample: Sample) -> Source | None:
    """Recognize a query with relevant and other passages."""
    query = sample.column(*_QUERIES)
    if query is None or not all(isinstance(v, str) for v in sample.values(query.name)):
        return None
    passages = sample.column("passages")
    if passages is not None and _are_selected(sample.values(passages.name)):
        return _wrapped(sample, query, _Listed(query.name, passages.name, are_labeled=True))
    positives, negatives = (
        _columns_of(sample, names, stem)
        for names, stem in ((_POSITIVES, "pos"), (_NEGATIVES, "neg"))
    )
    columns = [*positives, *negatives]
    if not columns and (candidates := _candidates_of(sample, query)) is not None:
        return _wrapped(sample, query, _Listed(query.name, candidates, are_labeled=False))
    if not positives or not negatives or not all(_are_texts(sample, name) for name in columns):
        return None
    return _wrapped(sample, query, _Signed(query.name, positives, negatives))


def _candidates_of(sample: Sample, query: Column) -> str | None:
    """Return the column of candidates, if there is nothing else but ids."""
    candidates = sample.column(*_CANDIDATES)
    if candidates is None or plain_name(query.name) == "question":
        return None
    known = {*_IDS, *NOT_CONTENT}
    others = [c.name for c in sample.source.columns if c.name not in (query.name, candidates.name)]
    if not all(plain_name(name) in known for name in others):
        return None
    lists = [_listed(nested(value)) for value in sample.values(candidates.name)]
    texts = [_text_of(one) for listed in lists for one in listed or ()]
    is_text = bool(texts) and all(isinstance(text, str) for text in texts)
    return candidates.name if is_text and all(listed is not None for listed in lists) else None


def _columns_of(sample: Sample, names: Sequence[str], stem: str) -> tuple[str, ...]:
    """Return the columns of these names, and those with a number after such a name."""
    named = sample.column(*names)
    numbered = [
        column.name
        for column in sample.source.columns
        if (match := _NUMBERED.fullmatch(plain_name(column.name)))
        and match[1].removeprefix("hard").startswith(stem)
    ]
    return (*([named.name] if named is not None else ()), *numbered)


def _are_texts(sample: Sample, name: str) -> bool:
    """Whether most values are texts, or lists of texts or of objects with one."""
    values = [nested(value) for value in sample.values(name)]
    texts = [isinstance(value, str) or _listed(value) is not None for value in values]
    return 2 * sum(texts) > len(texts)


def _are_selected(values: Sequence[Any]) -> bool:
    """Whether most values are passages of which some are selected."""
    read = [_selected_of(nested(value)) for value in values]
    return bool(read) and 2 * sum(one is not None for one in read) > len(read)


def _text_of(passage: object) -> object:
    """Return the text of a passage, after its title if it has one."""
    if not isinstance(passage, Mapping):
        return passage
    text = next((passage[name] for name in _TEXTS if name in passage), None)
    title = passage.get("title")
    if isinstance(title, str) and title.strip() and isinstance(text, str):
        return f"{title.strip()} {text}"
    return text


def _id_of(passage: object) -> object:
    """Return the id of a passage, None without one."""
    if not isinstance(passage, Mapping):
        return None
    value = next((passage[name] for name in _PASSAGE_IDS if name in passage), None)
    return str(value) if isinstance(value, str | int) else None


def _listed(value: object) -> list[object] | None:
    """Return a list of passages; None for anything else."""
    return list(value) if isinstance(value, list | tuple) else None


def _selected_of(value: object) -> list[Marked] | None:
    """Return passages with whether each is selected; None if the value has another shape."""
    if isinstance(value, Mapping):
        texts = next((value[name] for name in _TEXTS if name in value), None)
        marks = next((value[name] for name in _SELECTED if name in value), None)
        lists = (list | tuple, list | tuple)
        if not isinstance(texts, lists[0]) or not isinstance(marks, lists[1]):
            return None
        if len(texts) != len(marks):
            return None
        return [(text, mark, None) for text, mark in zip(texts, marks, strict=True)]
    if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
        return None
    marked = [
        (_text_of(one), next((one[name] for name in _SELECTED if name in one), None), _id_of(one))
        for one in value
    ]
    return marked if marked and all(mark is not None for _text, mark, _id in marked) else None


def _candidates_in(value: object) -> list[Marked] | None:
    """Return passages without labels; None if the value is no list."""
    passages = _listed(value)
    if passages is None:
        return None
    return [(_text_of(one), None, _id_of(one)) for one in passages]


@dataclass(frozen=True)
class _Signed:
    """Rows of a query with columns of relevant and of other passages.

    Attributes:
        query: the column of the query.
        positives: the columns of relevant passages.
        negatives: those of the others.
    """

    are_labeled: ClassVar[bool] = True
    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]

    @property
    def read(self) -> tuple[str, ...]:
        """All columns."""
        return (self.query, *self.positives, *self.negatives)

    def __call__(self, values: Record) -> list[Record | Finding]:
        """Return a row for each passage."""
        marked: list[Marked] = []
        for label, columns in ((1, self.positives), (0, self.negatives)):
            for name in columns:
                value = nested(values.get(name))
                if value is None or value == "":
                    continue
                passages = [value] if isinstance(value, str) else _listed(value)
                if passages is None:
                    return [_no_texts(name, value)]
                marked += [(_text_of(one), label, _id_of(one)) for one in passages]
        return list(_rows(values.get(self.query), marked))


@dataclass(frozen=True)
class _Listed:
    """Rows of a query with one column of passages.

    Attributes:
        query: the column of the query.
        passages: that of the passages.
        are_labeled: whether it says which are selected; else they are candidates.
    """

    query: str
    passages: str
    are_labeled: bool

    @property
    def read(self) -> tuple[str, ...]:
        """All columns."""
        return (self.query, self.passages)

    def __call__(self, values: Record) -> list[Record | Finding]:
        """Return a row for each passage."""
        value = nested(values.get(self.passages))
        marked = _selected_of(value) if self.are_labeled else _candidates_in(value)
        if marked is None:
            return [_no_texts(self.passages, values.get(self.passages))]
        return list(_rows(values.get(self.query), marked))


def _rows(query: object, marked: Iterable[Marked]) -> Iterator[Record | Finding]:
    """Yield the rows of a query; of a passage that is given twice with one label only the first."""
    seen: dict[str, object] = {}
    for text, label, own in marked:
        if not isinstance(text, str) or not text.strip():
            message = _("a passage is {value}, not text").format(value=shortened(repr(text)))
            yield Finding("D370", message, _("Complete or remove the passage."))
            continue
        key = text.strip()
        if key not in seen:
            seen[key] = label
            yield {QUERY: query, PASSAGE: text, LABEL: label, PASSAGE_ID: own}
        elif seen[key] != label:
            message = _('a passage is both relevant and not: "{text}"')
            message = message.format(text=shortened(key))
            yield Finding("D372", message, _("Remove it from one of the two."))
    if not seen:
        message = _("the query has no passage")
        yield Finding("D374", message, _("Give it passages, or remove the row."))


def _no_texts(column: str, value: object) -> Finding:
    message = _('"{column}" holds no passages: {value}')
    return Finding(
        "D370",
        message.format(column=column, value=shortened(str(value))),
        _("Write them like {example}.").format(example='["a passage", "another"]'),
    )


def _wrapped(sample: Sample, query: Column, explode: _Signed | _Listed) -> ExplodedSource:
    names = {column.name: column for column in sample.source.columns}
    ids = [c for c in names.values() if plain_name(c.name) in _IDS]
    label = (Column(LABEL, "integer"),) if explode.are_labeled else ()
    made = [Column(QUERY, QUERY), Column(PASSAGE, PASSAGE), *label, *ids]
    rows = (one for row in sample.rows for one in explode(row.values))
    if any(isinstance(one, Mapping) and one[PASSAGE_ID] is not None for one in rows):
        made.append(Column(PASSAGE_ID, "text"))
    note = _('a row for each passage of "{columns}"').format(columns='", "'.join(explode.read[1:]))
    return ExplodedSource(
        sample.source,
        tuple(made),
        (*explode.read, *(c.name for c in ids)),
        explode,
        own_notes=(note,),
    )

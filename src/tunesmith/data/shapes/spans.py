"""Texts with marked parts, as Prodigy, doccano, Label Studio, spaCy and CLUENER write them.

They become "entities" in characters, each with its text. Where a tool counts otherwise, positions
are converted if nearly all rows agree, which a note says; a row that does not fit is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.findings import Finding
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes.offsets import (
    CHARACTERS,
    Counting,
    Mark,
    fitting,
    located,
    most_cut_words,
    say,
    ways_to_count,
)
from tunesmith.data.shapes.shape import (
    ConvertedSource,
    ExplodedSource,
    Record,
    Sample,
    nested,
)
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["recognize"]

_TEXTS = tuple("text sentence content data 文本 句子 内容 原文 正文".split())
_MARKS = tuple(
    "entities spans entity ents ner label labels annotations annotation "
    "实体 实体列表 命名实体 实体标注 标签 标注".split()
)
_STARTS = ("start", "start_offset", "start_idx", "begin", "startOffset")
_ENDS = ("end", "end_offset", "end_idx", "endOffset")
_LABELS = ("label", "labels", "type", "tag", "entity_group", "category", "class", "entity")
_SURFACES = ("text", "surface", "mention", "entity", "word", "value")
_TEXT, _ENTITIES = "text", "entities"
_MOST = 0.9
"""The fraction of the values that must be marks; the task refuses the others."""
_REFUSED = ("reject", "ignore")

ReadMarks = Callable[[Any], "list[Mark] | None"]


def recognize(sample: Sample) -> Source | None:
    """Recognize a text with lists of positions and types, or tasks of Label Studio."""
    if (tasks := _label_studio(sample)) is not None:
        return tasks
    text = sample.column(*_TEXTS)
    if text is None:
        return None
    columns = [column for name in _MARKS if (column := sample.column(name)) is not None]
    for column in columns:
        if column.name == text.name:
            continue
        values = [nested(value) for value in sample.values(column.name)]
        for read in (_listed, _by_type):
            known = [marks for value in values if (marks := read(value)) is not None]
            if any(known) and len(known) >= _MOST * len(values):
                return _wrapped(sample, text, column, read)
        if any(values) and all(map(_are_meant_as_marks, values)):
            return _wrapped(sample, text, column, _listed)
    return None


def _are_meant_as_marks(value: object) -> bool:
    """Whether a value is a list of objects with the keys of marks, whatever these hold."""
    return isinstance(value, list) and all(
        isinstance(one, Mapping)
        and any(key in one for key in _STARTS)
        and any(key in one for key in _ENDS)
        for one in value
    )


def _wrapped(sample: Sample, text: Column, marks: Column, read: ReadMarks) -> Source:
    def pair(values: Record) -> tuple[str, list[Mark]] | None:
        written, marked = values.get(text.name), read(nested(values.get(marks.name)))
        return (written, marked) if isinstance(written, str) and marked is not None else None

    pairs = [marked for row in sample.many_rows if (marked := pair(row.values)) is not None]
    ways = ways_to_count(pairs, sample.offsets)
    refuses_cuts = sample.offsets is None and most_cut_words(pairs, ways[0])
    notes = () if ways[0] is CHARACTERS else (_note(sample.source, ways[0]),)
    convert = _Marked(text.name, marks.name, pair, ways, refuses_cuts)
    made = (Column(marks.name, "entities"),)
    answer = sample.column("answer")
    if answer is None or not set(sample.values(answer.name)) <= {"accept", *_REFUSED}:
        return ConvertedSource(
            sample.source, made, (text.name, marks.name), convert, own_notes=notes
        )
    columns = tuple(
        made[0] if column.name == marks.name else column for column in sample.source.columns
    )

    def accepted(values: Record) -> Sequence[Record | Finding]:
        return () if values.get(answer.name) in _REFUSED else (convert(values),)

    read_columns = (text.name, marks.name, answer.name)
    left_out = _("{name}: rows that were rejected or ignored are left out")
    if any(value in _REFUSED for value in sample.values(answer.name)):
        notes = (*notes, left_out.format(name=sample.source.name))
    return ExplodedSource(sample.source, columns, read_columns, accepted, own_notes=notes)


def _note(source: Source, way: Counting) -> str:
    return _("{name}: {how}; they are converted").format(name=source.name, how=say(way))


@dataclass(frozen=True)
class _Marked:
    """Turns the marks of a row into entities in characters.

    Attributes:
        text: the column of the text.
        marks: the column of the marks.
        pair: returns both, None if the row does not have them.
        ways: to count positions.
        refuses_cuts: whether positions that cut a word are wrong.
    """

    text: str
    marks: str
    pair: Callable[[Record], tuple[str, list[Mark]] | None]
    ways: Sequence[Counting]
    refuses_cuts: bool

    def __call__(self, values: Record) -> Record | Finding:
        """Return the entities, or the first one that is not what the data says (D342)."""
        pair = self.pair(values)
        if pair is None:  # the task says what is wrong
            return {}
        return entities_of(*pair, self.ways, self.marks, refuses_cuts=self.refuses_cuts)


def entities_of(
    text: str,
    marks: Sequence[Mark],
    ways: Sequence[Counting],
    name: str,
    *,
    refuses_cuts: bool = False,
) -> Record | Finding:
    """Return a record with the entities of a text in a column of this name (D342)."""
    places = located(text, marks, ways, refuses_cuts=refuses_cuts)
    if isinstance(places, Mark):
        return _misplaced(text, places, marks)
    entities = [
        {"start": start, "end": end, "label": mark.label, "text": text[start:end]}
        for (start, end), mark in zip(places, marks, strict=True)
    ]
    return {name: sorted(entities, key=lambda one: (one["start"], one["end"]))}


def _misplaced(text: str, mark: Mark, marks: Sequence[Mark]) -> Finding:
    message = _('characters {start} to {end} are "{shown}", the data says "{text}"')
    if mark.text is None:
        message = _('characters {start} to {end} are "{shown}", a part of a word, as in most rows')
    message = message.format(
        start=mark.start,
        end=mark.end,
        shown=shortened(text[max(0, mark.start) : max(0, mark.end)]),
        text=shortened(mark.text or ""),
    )
    fix = _("Count characters (code points) from 0; the end is after the last one.")
    if mark.text is None:
        option = "--offsets characters"
        fix += "\n" + _("If the positions are right: {option}").format(option=option)
    if way := fitting(text, marks):
        hint = _("This row fits if {how}; others do not.").format(how=say(way))
        every = _("To count so in all rows: {option}").format(option=f"--offsets {way.option}")
        fix = f"{hint}\n{every}\n{fix}"
    return Finding("D342", message, fix)


def _listed(value: Any) -> list[Mark] | None:
    """The marks of a list, each an object, or three values; None if they are something else."""
    if not isinstance(value, list | tuple):
        return None
    marks: list[Mark] = []
    for item in value:
        marked = _of_object(item) if isinstance(item, Mapping) else _of_triple(item)
        if marked is None:
            return None
        marks += marked
    return marks


def _of_triple(item: Any) -> list[Mark] | None:
    if not isinstance(item, list | tuple) or len(item) != 3:
        return None
    start, end, label = item
    fits = _is_place(start) and _is_place(end) and isinstance(label, str)
    return [Mark(start, end, label)] if fits else None


def _of_object(item: Mapping[str, Any]) -> list[Mark] | None:
    start: Any = next((item[key] for key in _STARTS if key in item), None)
    end: Any = next((item[key] for key in _ENDS if key in item), None)
    key = next((key for key in _LABELS if item.get(key)), None)
    if not _is_place(start) or not _is_place(end) or key is None:
        return None
    label = item[key]
    labels = label if isinstance(label, list) else [label]
    if not all(isinstance(one, str) for one in labels):
        return None
    surface = next((item[k] for k in _SURFACES if k != key and isinstance(item.get(k), str)), None)
    return [Mark(start, end, one, surface) for one in labels]


def _is_place(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _by_type(value: Any) -> list[Mark] | None:
    """The marks of an object of types, texts and lists of positions, as in CLUENER."""
    if not isinstance(value, Mapping):
        return None
    marks = []
    for label, texts in value.items():
        if not isinstance(texts, Mapping):
            return None
        for text, places in texts.items():
            if not isinstance(places, list):
                return None
            for place in places:
                if not isinstance(place, list) or len(place) != 2 or not all(map(_is_place, place)):
                    return None
                marks.append(Mark(place[0], place[1], str(label), str(text)))
    return marks


def _label_studio(sample: Sample) -> Source | None:
    """Tasks of Label Studio: "data" with the text, "annotations" with results."""
    data, done = sample.column("data"), sample.column("annotations", "completions")
    if data is None or done is None:
        return None
    tasks = [nested(value) for value in sample.values(data.name)]
    name = _name_of_text(tasks)
    results = [result for value in sample.values(done.name) for result in _results(nested(value))]
    if name is None or not any(_listed_values(result) for result in results):
        return None

    def pairs(values: Record) -> Iterator[tuple[str, list[Mark]]]:
        text = nested(values.get(data.name))
        for result in _results(nested(values.get(done.name))):
            if isinstance(text, Mapping) and isinstance(text.get(name), str):
                yield text[name], _listed_values(result) or []

    every = (pair for row in sample.many_rows for pair in pairs(row.values))
    ways = ways_to_count(every, sample.offsets)
    notes = () if ways[0] is CHARACTERS else (_note(sample.source, ways[0]),)

    def convert(values: Record) -> Record | Finding:
        marked = list(pairs(values))
        task = nested(values.get(data.name))
        text = task.get(name) if isinstance(task, Mapping) else None
        if len({frozenset(marks) for _text, marks in marked}) > 1:
            message = _("{count} annotations of this text differ").format(count=len(marked))
            return Finding("D346", message, _("Agree on one of them before exporting."))
        if not marked:
            return {_TEXT: text, _ENTITIES: None}
        made = entities_of(*marked[0], ways, _ENTITIES)
        return made if isinstance(made, Finding) else {_TEXT: text, **made}

    columns = (Column(_TEXT, "text"), Column(_ENTITIES, "entities"))
    return ConvertedSource(
        sample.source, columns, (data.name, done.name), convert, (data.name, done.name),
        own_notes=notes,
    )  # fmt: skip


def _name_of_text(tasks: Sequence[Any]) -> str | None:
    """The key of the text in the data of tasks: "text", else the longest one."""
    lengths: dict[str, int] = {}
    for task in tasks:
        for key, value in task.items() if isinstance(task, Mapping) else ():
            if isinstance(value, str):
                lengths[key] = lengths.get(key, 0) + len(value)
    return _TEXT if _TEXT in lengths else max(lengths, key=lambda key: lengths[key], default=None)


def _results(value: Any) -> Iterator[Any]:
    """The result of each annotation that was not discarded."""
    for one in value if isinstance(value, list) else ():
        if isinstance(one, Mapping) and not one.get("was_cancelled"):
            yield one.get("result")


def _listed_values(result: Any) -> list[Mark] | None:
    """The marks of a result; its parts that are no marks, such as choices, are left out."""
    values = [one.get("value") for one in result or () if isinstance(one, Mapping)]
    return _listed([value for value in values if isinstance(value, Mapping) and "start" in value])

"""Words with a tag each, in two columns of lists, or of words and tags with spaces between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.findings import Finding
from tunesmith.data.label_lists import parsed_list
from tunesmith.data.rows import Column, Source
from tunesmith.data.shapes.shape import ConvertedSource, Record, Sample
from tunesmith.i18n import gettext as _

__all__ = ["recognize"]

_TOKENS = tuple(
    "tokens words tokenlist wordlist token word sentence text "
    "词列表 字列表 分词 单词 词语 词 字符 字 词元 句子 文本".split()
)
_TAGS = tuple(
    "nertags nerlabels tokenlabels wordlabels entitytags slotlabels biotags bio iob nertag ner "
    "tags labels label tag slots upos xpos postags postag chunktags pos "
    "实体标签 命名实体 标签序列 序列标签 标签列表 词性标签 词性 标签 标注 实体 类别".split()
)


_ITEM = re.compile(r"'([^']*)'|\"([^\"]*)\"|(-?\d+)")
_ONE = r"(?:'[^']*'|\"[^\"]*\"|-?\d+)"
_ARRAY = re.compile(rf"\[\s*{_ONE}(?:\s+{_ONE})+\s*\]")
"""Items without commas, as NumPy writes arrays; Python would read texts as one."""


def recognize(sample: Sample) -> Source | None:
    """Recognize lists of words with lists of as many tags."""
    tags = [column for name in _TAGS if (column := sample.column(name)) is not None]
    tokens = sample.column(*_TOKENS)
    if tokens is None or not tags or not sample.rows:
        return None
    for column in tags:
        if column.name != tokens.name and _are_aligned(sample, tokens, column):
            return _wrapped(sample.source, tokens, column)
    return None


def _are_aligned(sample: Sample, tokens: Column, tags: Column) -> bool:
    """Whether rows have as many tags as words, and words are lists or tags of entities.

    Some rows may be wrong, and lists of tags of entities are none of anything else, so the task
    refuses rows that do not fit.
    """
    pairs = [
        (len(words), marks)  # of long texts the words of one row at a time
        for row in sample.rows
        if (words := _items(row.values.get(tokens.name))) is not None
        and (marks := _items(row.values.get(tags.name))) is not None
    ]
    if not pairs or 2 * len(pairs) < len(sample.rows):
        return False
    are_lists = all(isinstance(value, list) for value in sample.values(tokens.name))
    items = [item for _count, marks in pairs for item in marks]
    # lists within lists are of sentences, not of words, which the task says
    inner = [one for item in items for one in (item if isinstance(item, list) else (item,))]
    has_entities = any(map(_is_prefixed, inner))
    equal = sum(count == len(marks) for count, marks in pairs)
    if 2 * equal < len(pairs) and not (are_lists and has_entities):
        return False
    if are_lists:
        return 2 * sum(isinstance(one, str | int | float) for one in inner) >= len(inner)
    # a text and a label, each of one word, are no lists
    return has_entities and any(count > 1 for count, _marks in pairs)


def _is_prefixed(tag: object) -> bool:
    return isinstance(tag, str) and tag[:2] in ("B-", "I-", "E-", "S-", "L-", "U-")


def _items(value: object) -> Sequence[object] | None:
    """The items of a list, of a list as JSON or Python write it, or of words with spaces."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        return None
    if _ARRAY.fullmatch(value.strip()):
        return [one or two or int(three) for one, two, three in _ITEM.findall(value)]
    if (parsed := parsed_list(value)) is not None:
        return parsed
    return value.split() if " " in value.strip() or "," not in value else value.split(",")


@dataclass(frozen=True)
class _Lists:
    """Turns the values of two columns into lists of text."""

    tokens: str
    tags: str
    names: tuple[str, ...] | None

    def __call__(self, values: Record) -> Mapping[str, object] | Finding:
        """Return both lists; the task says what is wrong with values that are none."""
        tokens, tags = _items(values.get(self.tokens)), _items(values.get(self.tags))
        if tokens is None or tags is None:
            return {}
        named = [self._name(tag) for tag in tags]
        if (beyond := [tag for tag, name in zip(tags, named, strict=True) if name is None]) and (
            self.names is not None and None not in beyond
        ):
            message = _('"{column}" holds {number}; its names are numbered 0 to {last}')
            return Finding(
                "D345",
                message.format(column=self.tags, number=beyond[0], last=len(self.names) - 1),
                _("Correct the tags, or remove the row."),
            )
        return {self.tokens: list(tokens), self.tags: named}

    def _name(self, tag: object) -> object:
        if self.names is None or isinstance(tag, bool) or not isinstance(tag, int):
            return tag
        return self.names[tag] if 0 <= tag < len(self.names) else None


def _wrapped(source: Source, tokens: Column, tags: Column) -> ConvertedSource:
    made = (Column(tokens.name, "tokens"), Column(tags.name, "tags", tags.class_names))
    convert = _Lists(tokens.name, tags.name, tags.class_names)
    return ConvertedSource(source, made, (tokens.name, tags.name), convert)

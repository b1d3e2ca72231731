"""Rows with tokens and tags, or with a text and its entities, both as a marked text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from tunesmith.data.columns import Roles
from tunesmith.data.findings import Finding
from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.metrics.entities import Entity, entities_of_tags, split_tag
from tunesmith.tasks.tokenize_texts import validate_texts
from tunesmith.text import shortened

__all__ = [
    "MarkedText",
    "joined",
    "read_row",
    "validate_tokens",
    "with_tag_names",
    "without_overlaps",
    "words_of",
]

_WIDE = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
"""Characters of Chinese and Japanese, with their punctuation: no space is between them."""
_IS_WIDE = re.compile(f"[{_WIDE}]")
_WORD = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text with its words and entities, in characters.

    Attributes:
        text: of the row; tokens are joined.
        words: where each word is; they count for accuracy.
        entities: rising, without overlaps.
        has_tokens: whether the words are those of the row.
    """

    text: str
    words: Sequence[tuple[int, int]]
    entities: tuple[Entity, ...]
    has_tokens: bool


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return tokens as one text, and where each of them is.

    There is a space between two of them, but not next to a Chinese or Japanese character, and none
    at all where every token is one character of such a text.
    """
    has_spaces = max(map(len, tokens), default=0) > 1 or not any(map(_IS_WIDE.match, tokens))
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    length, before = 0, ""
    for token in tokens:
        is_apart = before and token and not (_IS_WIDE.match(before[-1]) or _IS_WIDE.match(token))
        if has_spaces and is_apart:
            parts.append(" ")
            length += 1
        parts.append(token)
        spans.append((length, length + len(token)))
        length += len(token)
        before = token or before
    return "".join(parts), spans


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where words, Chinese characters and signs of a text are."""
    return [match.span() for match in _WORD.finditer(text)]


def without_overlaps(entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Return the longest entities, in order; of equally long ones the first."""
    longest: list[Entity] = []
    for entity in sorted(entities, key=lambda one: (one.start - one.end, one.start)):
        if all(entity.end <= one.start or one.end <= entity.start for one in longest):
            longest.append(entity)
    return tuple(sorted(longest))


def read_row(row: Row, roles: Roles, *, are_plain: bool = False) -> MarkedText:
    """Return a valid row as a text; without labels it has no entities.

    Args:
        row: tokens with tags, or a text with entities.
        roles: which column is what.
        are_plain: whether each tag is a class of its word, such as a part of speech.
    """
    value: Any = row.values[roles.text]
    label: Any = None if roles.label is None else row.values.get(str(roles.label))
    if isinstance(value, str):
        entities = [Entity(one["start"], one["end"], one["label"]) for one in label or ()]
        return MarkedText(value, words_of(value), without_overlaps(entities), has_tokens=False)
    text, spans = joined(value)
    tags = list(label or ())
    if are_plain:
        entities = [Entity(*span, tag) for span, tag in zip(spans, tags, strict=False)]
    else:
        entities = [
            Entity(spans[one.start][0], spans[one.end - 1][1], one.label)
            for one in entities_of_tags(tags)
        ]
    return MarkedText(text, spans, tuple(entities), has_tokens=True)


def with_tag_names(row: Row, roles: Roles, names: Sequence[str]) -> Row:
    """Return the row with the names of tags that are numbers, also in text; others stay."""
    label = row.values.get(str(roles.label))
    if not names or not isinstance(label, list):
        return row
    named = [_name_of(tag, names) for tag in label]
    return Row(row.index, {**row.values, str(roles.label): named})


def _name_of(tag: Any, names: Sequence[str]) -> object:
    is_text = isinstance(tag, str) and tag.isdecimal() and tag not in names
    is_whole = isinstance(tag, float) and tag.is_integer()
    if not (is_text or is_whole or (isinstance(tag, int) and not isinstance(tag, bool))):
        return tag
    place = int(tag)
    return names[place] if 0 <= place < len(names) else tag


def validate_tokens(
    row: Row, roles: Roles, *, keeps_longest: bool, num_names: int = 0
) -> Finding | None:
    """Return what is wrong with a row.

    Args:
        row: to check, with the names of its tags.
        roles: which column is what.
        keeps_longest: whether entities may overlap.
        num_names: of tags that are numbers; 0 where they have no names.
    """
    value = row.values.get(roles.text)
    label = None if roles.label is None else row.values.get(str(roles.label))
    if not isinstance(value, list | tuple):
        if finding := validate_texts(row, roles):
            return finding
        return None if label is None else _in_text(str(value), label, keeps_longest=keeps_longest)
    for number, token in enumerate(value, start=1):
        if not isinstance(token, str):
            shown = shortened(str(token))
            message = _("token {number} is {value}, not text").format(number=number, value=shown)
            return Finding("D362", message, _("Correct or remove the row."))
    if not any(token.strip() for token in value):
        return Finding("D310", _("the text is empty"), _("Complete or remove the row."))
    return None if label is None else _next_to_tokens(value, label, num_names)


def _next_to_tokens(tokens: Sequence[str], tags: object, num_names: int) -> Finding | None:
    if not isinstance(tags, list | tuple):
        message = _("not a list of tags: {value}")
        return _malformed(message, tags, '["B-PER", "O"]')
    if len(tags) != len(tokens):
        words = ngettext("{count} token", "{count} tokens", len(tokens)).format(count=len(tokens))
        message = _("{tokens} with {tags} tags").format(tokens=words, tags=len(tags))
        return Finding("D341", message, _("Give each token one tag."))
    for number, tag in enumerate(tags, start=1):
        if finding := _of_tag(number, tag, num_names):
            return finding
    if all(map(_is_visible, tokens)):
        return None
    for entity in entities_of_tags(tags):
        if not any(map(_is_visible, tokens[entity.start : entity.end])):
            message = _('token {number} is empty and has the tag "{tag}"').format(
                number=entity.start + 1, tag=shortened(tags[entity.start])
            )
            return Finding("D362", message, _("Correct or remove the row."))
    return None


def _of_tag(number: int, tag: object, num_names: int) -> Finding | None:
    is_number = isinstance(tag, int | float) and not isinstance(tag, bool)
    if is_number and num_names:
        message = _("tag {number} is {tag}; the names are numbered 0 to {last}")
        message = message.format(number=number, tag=tag, last=num_names - 1)
        return Finding("D345", message, _("Correct the tags, or remove the row."))
    if is_number or (isinstance(tag, str) and tag.isdecimal()):
        return Finding(
            "D345",
            _("the tags are numbers without names, such as {tag}").format(tag=tag),
            _("Name them in order: --set data.labels=[O, B-PER, I-PER]"),
        )
    if not isinstance(tag, str) or not tag.strip():
        message = _("tag {number} is {value}, not text").format(number=number, value=repr(tag))
        return Finding("D345", message, _("Correct or remove the row."))
    if tag[1:2] == "-" and tag[:1].isupper() and split_tag(tag) is None:
        return Finding(
            "D345",
            _('"{tag}" is no tag of IOB, BIOES or BILOU').format(tag=shortened(tag)),
            _("Write B- or I- before the type of an entity, and O outside."),
        )
    return None


def _is_visible(token: str) -> bool:
    """Whether a token has a character that a tokenizer sees, not only spaces and joiners."""
    return any(not one.isspace() and category(one) not in ("Cf", "Cc") for one in token)


def _malformed(message: str, value: object, example: str) -> Finding:
    message = message.format(value=shortened(str(value)))
    return Finding("D363", message, _("Write them like {example}.").format(example=example))


def _in_text(text: str, entities: object, *, keeps_longest: bool) -> Finding | None:
    example = '[{"start": 0, "end": 3, "label": "PER"}]'
    if not isinstance(entities, list | tuple):
        return _malformed(_("not a list of entities: {value}"), entities, example)
    spans: list[Entity] = []
    for entity in entities:
        if not _is_entity(entity):
            return _malformed(_("not an entity: {value}"), entity, example)
        if finding := _of_place(text, entity):
            return finding
        spans.append(Entity(entity["start"], entity["end"], entity["label"]))
    longest = without_overlaps(spans)
    if len(longest) < len(set(spans)) and not keeps_longest:
        one = next(each for each in spans if each not in longest)
        message = _('entities overlap, such as "{text}" ({label})').format(
            text=shortened(text[one.start : one.end]), label=one.label
        )
        return Finding(
            "D343",
            message,
            _(
                "To train on the longest of them: --set options.overlaps=longest. To find nested "
                "entities, use spaCy's spancat or GLiNER."
            ),
        )
    return None


def _of_place(text: str, entity: Mapping[str, Any]) -> Finding | None:
    start, end = entity["start"], entity["end"]
    if not 0 <= start < end <= len(text):
        message = _("characters {start} to {end} are not in the text, which has {length}")
        return Finding(
            "D344",
            message.format(start=start, end=end, length=len(text)),
            _("Count characters from 0; the end is after the last one."),
        )
    if not text[start:end].strip():
        message = _("characters {start} to {end} are only spaces").format(start=start, end=end)
        return Finding("D344", message, _("Correct the positions, or remove the row."))
    if entity.get("text") not in (None, text[start:end]):
        message = _('characters {start} to {end} are "{shown}", the data says "{text}"')
        shown, said = shortened(text[start:end]), shortened(str(entity["text"]))
        return Finding(
            "D342",
            message.format(start=start, end=end, shown=shown, text=said),
            _("Name the column of their text with --text, or correct the positions."),
        )
    return None


def _is_entity(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    places = [value.get("start"), value.get("end")]
    are_places = all(isinstance(one, int) and not isinstance(one, bool) for one in places)
    label = value.get("label")
    return are_places and isinstance(label, str) and bool(label.strip())

"""Entities in one cell of a table of corrections: `Ann Lee (PER), Paris (LOC)`.

They are in the order of the text, and each is searched for after the one before. Where that finds
another place, or where its own text ends like that, the cell says at which character it begins:
`Paris@23 (LOC)`. What would end the text of an entity early is written with a backslash, as is each
backslash. A row without entities is `none`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.concrete_kinds import NO_LABEL
from tunesmith.metrics.entities import OUTSIDE, Entity, split_tag, word_tags
from tunesmith.tasks.token_classification.rows import MarkedText, read_row, validate_tokens
from tunesmith.text import shortened

__all__ = ["as_cell", "corrected_label", "types_of_cell"]

_ENTITY = re.compile(r"(?P<text>.+?)(?:@(?P<start>\d+))? \((?P<label>[^()]+)\)(?:, |$)", re.DOTALL)

_LIKE_A_START = re.compile(r"@\d+$")
_LIKE_A_TYPE = re.compile(r" \((?=[^()]+\),(?: |$))")
_ESCAPED = re.compile(r"\\([\\(])")


@dataclass(frozen=True, slots=True)
class _Named:
    """An entity as a cell names it; `start` is None where it is to be searched for."""

    text: str
    start: int | None
    label: str


def as_cell(text: str, entities: Sequence[Entity]) -> str:
    """Return entities of a text as a cell."""
    parts, place = [], 0
    for entity in sorted(entities):
        inside = text[entity.start : entity.end]
        is_next = text.find(inside, place) == entity.start
        at = "" if is_next and not _LIKE_A_START.search(inside) else f"@{entity.start}"
        written = _LIKE_A_TYPE.sub(r" \\(", inside.replace("\\", "\\\\"))
        parts.append(f"{written}{at} ({entity.label})")
        place = entity.end
    return ", ".join(parts) or NO_LABEL


def types_of_cell(cell: str) -> tuple[str, ...]:
    """Return the types that a cell names, each once.

    Raises:
        RecipeError: it does not name entities (R211).
    """
    return tuple(dict.fromkeys(one.label for one in _read(cell)))


def corrected_label(row: Row, roles: Roles, own: Sequence[Any], cell: str) -> list[object]:
    """Return the tags or entities of a row that a cell names.

    Args:
        row: without its label.
        roles: which column is what.
        own: its label: tags, or entities.
        cell: as `as_cell` writes it.

    Raises:
        RecipeError: the entities do not fit the text (R211).
    """
    if finding := validate_tokens(row, roles, keeps_longest=False):
        raise _refusal(finding.message)
    text = read_row(row, roles)
    entities = _in_text(text, cell)
    if not text.has_tokens:
        return [{"start": one.start, "end": one.end, "label": one.label} for one in entities]
    tags = word_tags(text.words, entities)
    if all(tag == OUTSIDE for tag in own) or any(split_tag(tag) for tag in own):
        return list(tags)
    plain = [tag if tag == OUTSIDE else tag[2:] for tag in tags]
    if OUTSIDE in plain and OUTSIDE not in own:  # classes, of which each word has one
        start, end = text.words[plain.index(OUTSIDE)]
        raise _refusal(_('"{word}" has no class').format(word=shortened(text.text[start:end])))
    return list(plain)


def _in_text(text: MarkedText, cell: str) -> list[Entity]:
    """The entities that a cell names, in the order of the text."""
    entities: list[Entity] = []
    place = 0
    for one in _read(cell):
        start = text.text.find(one.text, place) if one.start is None else one.start
        if start < 0 or text.text[start : start + len(one.text)] != one.text:
            at = "" if one.start is None else f"@{one.start}"
            where = _('"{entity}" is not in the text, after the entities before it')
            raise _refusal(where.format(entity=shortened(one.text) + at))
        entities.append(Entity(start, start + len(one.text), one.label))
        place = entities[-1].end
    entities.sort()
    for before, after in pairwise(entities):
        if after.start < before.end:
            words = text.text[after.start : after.end]
            raise _refusal(_('"{entity}" overlaps another entity').format(entity=shortened(words)))
    if text.has_tokens:
        starts, ends = ({word[i] for word in text.words} for i in (0, 1))
        for entity in entities:
            if entity.start not in starts or entity.end not in ends:
                words = text.text[entity.start : entity.end]
                raise _refusal(_('"{entity}" cuts a word').format(entity=shortened(words)))
    return entities


def _read(cell: str) -> Iterator[_Named]:
    if cell.strip() == NO_LABEL:
        return
    place = 0
    while place < len(cell):
        match = _ENTITY.match(cell, place)
        if match is None:
            raise _refusal(_('"{text}" names no entity').format(text=shortened(cell[place:])))
        start = match["start"]
        text = _ESCAPED.sub(r"\1", match["text"])
        yield _Named(text, None if start is None else int(start), match["label"])
        place = match.end()


def _refusal(message: str) -> RecipeError:
    fix = _("Write entities like Ann Lee (PER), Paris@23 (LOC), or none; `remove` drops the row.")
    return RecipeError.of("R211", message, fix=fix)

"""What the tags of a data set are: IOB1, IOB2, BIOES, types without marks, or classes of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from sys import intern
from typing import Any

from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.entities import OUTSIDE, entities_of_tags, split_tag
from tunesmith.text import quoted, shortened

__all__ = ["TagCounts", "described", "types_of_row"]

_FEW_ENTITIES = 10
"""Of a type with fewer nothing reliable is learned."""
_SCHEMES = {"L": "BILOU", "U": "BILOU", "M": "BMES", "E": "BIOES", "S": "BIOES"}
_OTHER_MARKS = tuple(map(re.compile, ("([biesluBIESLU])_.+", "([bieslu])-.+", ".+[-_]([BIESLU])")))
"""B_PER, b-per, PER-B: if all tags are such, each would be a type, and no entity whole."""
_MOST_TAGS, _WORDS_PER_TAG = 50, 5
_RARE = 0.01
"""In IOB1 an entity begins with B- only next to one of the same type."""


class TagCounts:
    """Counts tags and entities of rows.

    Attributes:
        rows: labeled ones.
        tokens: per tag.
        entities: per type.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self.rows = 0
        self.tokens = Counter[str]()
        self.entities = Counter[str]()
        self._marks = Counter[str]()
        self._plain: str | None = None
        self._marked: str | None = None
        self._opened = Counter[str]()

    def add(self, label: Sequence[Any]) -> None:
        """Add the tags or the entities of a row."""
        self.rows += 1
        if label and isinstance(label[0], Mapping):
            self.entities.update(str(one["label"]) for one in label)
            self._marked = self._marked or str(label[0]["label"])
            return
        self.tokens.update(label)
        self.entities.update(entity.label for entity in entities_of_tags(label))
        for before, tag in pairwise([OUTSIDE, *label]):
            if tag == OUTSIDE:
                continue
            mark = split_tag(tag)
            if mark is None:
                self._plain = self._plain or tag
                continue
            self._marked = self._marked or tag
            self._marks[tag[:1]] += 1
            previous = split_tag(before)
            follows = previous is not None and previous[1] == mark[1] and previous[0] in "BI"
            if mark[0] in "BI" and not follows:
                self._opened[mark[0]] += 1

    @property
    def are_classes(self) -> bool:
        """Whether every word has a class, and none is outside: such tags form no entities."""
        return self._marked is None and self._plain is not None and OUTSIDE not in self.tokens

    def problem(self) -> tuple[str, str, str] | None:
        """Return code, message and fix of tags with and without marks; None if they agree."""
        if self._marked is None:
            return self._marked_otherwise() or self._too_many()
        if self._plain is None:
            return None
        message = _(
            'some tags have the mark of an entity, such as "{marked}", others have none: "{plain}"'
        )
        fix = _("Give every tag its mark, or none.")
        return "D345", message.format(marked=self._marked, plain=self._plain), fix

    def _marked_otherwise(self) -> tuple[str, str, str] | None:
        """Say that all tags have marks, but others than B- and I-, which would all be types."""
        tags = [tag for tag in self.tokens if tag not in ("O", "o")]
        for form in _OTHER_MARKS:
            marks = [match[1] for tag in tags if (match := form.fullmatch(tag)) is not None]
            if len(marks) == len(tags) and "B" in map(str.upper, marks):
                message = _('"{tag}" has its mark in another form than "B-PER"')
                fix = _("Write B- or I- before the type of an entity, and O outside.")
                return "D345", message.format(tag=shortened(tags[0])), fix
        return None

    def _too_many(self) -> tuple[str, str, str] | None:
        """Say that tags differ as words do, which they are where columns are swapped."""
        words, most = self.tokens.total(), _MOST_TAGS
        if not self.are_classes or len(self.tokens) <= max(most, words // _WORDS_PER_TAG):
            return None
        message = _('{count} different tags for {words} words, such as "{tag}"').format(
            count=len(self.tokens), words=words, tag=shortened(next(iter(self.tokens)))
        )
        return "D345", message, _("Name the column of tags with --label; in CoNLL it is the last.")

    def learned(self) -> Mapping[str, int]:
        """Return how many entities of each type, or words of each class, there are to learn from.

        Raises:
            DataError: tags that do not fit together (D345), or nothing is marked (D204).
        """
        if problem := self.problem():
            code, message, fix = problem
            raise DataError.of(code, message, fix=fix)
        counts = self.tokens if self.are_classes else self.entities
        if not counts:
            raise DataError.of(
                "D204",
                _("no entity is marked in {count} rows; nothing to learn").format(count=self.rows),
                fix=_("Name the column of tags or entities with --label."),
            )
        return counts

    def notes(self) -> Iterator[str]:
        """Yield what the tags are read as, where they are not IOB2."""
        if self._plain is not None and not self.are_classes:
            yield _("tags without B- and I-: neighbors with the same tag are one entity")
            return
        scheme = next((name for mark, name in _SCHEMES.items() if self._marks[mark]), None)
        if scheme is None and self._opened["B"] < _RARE * self._opened["I"]:
            scheme = "IOB1"
        if scheme is not None:
            yield _("the tags are {scheme}; they are learned as IOB2").format(scheme=scheme)
        elif self._opened["I"]:
            yield _("entities that begin with I-: {count}; they are read as if with B-").format(
                count=self._opened["I"]
            )


def types_of_row(label: Any) -> tuple[str, ...]:
    """Return the types in the tags or the entities of a row, each once, in order."""
    if not isinstance(label, list | tuple):
        return ()
    if label and isinstance(label[0], Mapping):
        types = {intern(str(one["label"])) for one in label}
    else:
        types = {intern(entity.label) for entity in entities_of_tags(label)}
    return tuple(sorted(types))


def described(counts: Mapping[str, int], notes: Sequence[str], *, are_plain: bool) -> list[str]:
    """Return what was learned from the rows, a line each.

    Args:
        counts: entities of each type, or words of each class.
        notes: what the tags are read as.
        are_plain: whether words have classes.
    """
    listed = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:20])
    listed += " …" if len(counts) > 20 else ""
    if are_plain:
        message = _("{count} classes of words: {counts}")
        return [message.format(count=len(counts), counts=listed)]
    lines = [_("{count} types of entities: {counts}").format(count=len(counts), counts=listed)]
    if few := [name for name, count in counts.items() if count < _FEW_ENTITIES]:
        message = _("fewer than {count} entities to learn from: {names}")
        lines.append(message.format(count=_FEW_ENTITIES, names=quoted(few, at_most=10)))
    return [*lines, *notes]

"""What the tags of a data set are: IOB1, IOB2, BIOES, types without marks, or classes of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.metrics.entities import OUTSIDE, entities_of_tags, split_tag
from tunesmith.text import quoted

__all__ = ["TagCounts", "described"]

_FEW_ENTITIES = 10
"""Of a type with fewer nothing reliable is learned."""
_SCHEMES = {"L": "BILOU", "U": "BILOU", "M": "BMES", "E": "BIOES", "S": "BIOES"}
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

    def problem(self) -> tuple[str, str] | None:
        """Return code and message of tags with and without marks; None if they agree."""
        if self._plain is None or self._marked is None:
            return None
        message = _(
            'some tags have the mark of an entity, such as "{marked}", others have none: "{plain}"'
        )
        return "D345", message.format(marked=self._marked, plain=self._plain)

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

"""Which columns a task reads: as the user named them, else by their names, else by their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from tunesmith.data.columns import NOT_CONTENT, SHAPED, Roles, Suggestion, plain_name, suggest_texts
from tunesmith.data.profile import ColumnProfile, Profile
from tunesmith.errors import Problem
from tunesmith.i18n import gettext as _
from tunesmith.recipe import DataSettings

__all__ = ["LABEL_NAMES", "Confidence", "Match", "match_label", "match_texts"]

LABEL_NAMES = (
    "label", "labels", "goldlabel", "class", "target", "y", "标签", "标注", "类别", "分类",
)  # fmt: skip
"""What a label of any kind is called; a task adds the names of what it learns."""


class Confidence(IntEnum):
    """How sure a task is that a data set is one of its own."""

    ON_REQUEST = 0
    """It is not, but the task can read it if the user names the task."""
    BY_VALUES = 1
    BY_TYPE = 2
    """By a type that the source declares, such as a `ClassLabel`."""
    BY_TOPIC = 3
    """By a column named after what is learned, such as "sentiment"."""
    BY_NAME = 4
    """By a column named after its role, such as "label"."""
    REQUESTED = 5
    """The user named the columns."""
    BY_SHAPE = 6
    """By values of a shape that no other task reads, such as tokens with tags."""


@dataclass(frozen=True)
class Match:
    """How a task would read a data set.

    Attributes:
        roles: which column is what.
        reason: why the task fits.
        confidence: how sure it is; the surest task is suggested.
        suggested: values for keys of the recipe's section `data` that the user left out.
        rivals: columns that may be the label just as well as the one in `roles`.
        problem: why this reading may be wrong; an error unless the user named the task.
    """

    roles: Roles
    reason: str
    confidence: Confidence
    suggested: Mapping[str, Suggestion] = field(default_factory=dict)
    rivals: Sequence[str] = ()
    problem: Problem | None = None


def match_label(
    profile: Profile,
    requested: DataSettings,
    *,
    names: Sequence[str],
    fits: Callable[[ColumnProfile], bool],
    reason: Callable[[ColumnProfile], str],
) -> Match | None:
    """Match a task that learns one label column from a text or a pair of texts.

    Args:
        profile: what the data set looks like.
        requested: the columns that the user named.
        names: what the label of this task may be called, in addition to `LABEL_NAMES`.
        fits: whether the values of a column are labels of this task.
        reason: why a column that fits speaks for this task.

    Returns:
        None if there is no column for the text, or none for the label.
    """
    column: ColumnProfile | None
    suggested: dict[str, Suggestion] = {}
    rivals: list[str] = []
    label = requested.label
    if label is None:
        free = {
            c.name: c
            for c in profile.columns
            if c.column.type not in SHAPED and _confidence(c, names) is not None
        }
        for taken in (requested.text, requested.text_pair):
            free.pop(str(taken), None)
        if not free:
            return None
        ranks = {name: _rank(column, names, is_fit=fits(column)) for name, column in free.items()}
        label = max(ranks, key=lambda name: ranks[name])
        column = free[label]
        rivals = [name for name in ranks if ranks[name] == ranks[label] and name != label]
        suggested["label"] = Suggestion(label, _reason(column, names))
    else:
        column = profile.column(label) if isinstance(label, str) else None
    texts = match_texts(profile, requested, taken=(label,) if isinstance(label, str) else label)
    if texts is None:
        return None
    suggested |= texts.suggested
    roles = replace(texts.roles, label=label)
    if column is None or column.column.type in SHAPED or not fits(column):
        return Match(roles, "", Confidence.ON_REQUEST, suggested, rivals)
    confidence = _confidence(column, names) if requested.label is None else None
    return Match(roles, reason(column), confidence or Confidence.REQUESTED, suggested, rivals)


def match_texts(
    profile: Profile, requested: DataSettings, taken: Sequence[str] = ()
) -> Match | None:
    """Match a task that reads a text or a pair of texts; None if there is no column for it.

    Args:
        profile: what the data set looks like.
        requested: the columns that the user named.
        taken: columns that have another role.
    """
    text, pair = requested.text, requested.text_pair
    suggested: Mapping[str, Suggestion] = {}
    if text is None:
        suggested = suggest_texts(profile, (*taken, pair) if pair else taken)
        if not suggested:
            return None
        text = suggested["text"].value
        if pair is None and "text_pair" in suggested:
            pair = suggested["text_pair"].value
    return Match(Roles(text, pair), "", Confidence.ON_REQUEST, suggested)


def _confidence(column: ColumnProfile, names: Sequence[str]) -> Confidence | None:
    """How surely a column is a label, None if nothing speaks for it."""
    name = plain_name(column.name)
    if name in LABEL_NAMES:
        return Confidence.BY_NAME
    if name in names:
        return Confidence.BY_TOPIC
    if column.column.class_names:
        return Confidence.BY_TYPE
    if column.has_few_values and name not in NOT_CONTENT:
        return Confidence.BY_VALUES
    return None


def _rank(column: ColumnProfile, names: Sequence[str], *, is_fit: bool) -> tuple[object, ...]:
    """Order columns: named before unnamed ones, then by values that fit, then by the name."""
    confidence = _confidence(column, names) or Confidence.ON_REQUEST
    return confidence >= Confidence.BY_TYPE, is_fit, confidence, column.has_few_values


def _reason(column: ColumnProfile, names: Sequence[str]) -> str:
    confidence = _confidence(column, names)
    if confidence is Confidence.BY_VALUES:
        return _("few different values ({count})").format(count=column.distinct)
    if confidence is Confidence.BY_TYPE:
        return _("its values have class names")
    return _("by its name")

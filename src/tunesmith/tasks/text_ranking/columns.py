"""Which columns hold queries, passages and their relevance."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.data.columns import Roles, Suggestion, plain_name
from tunesmith.data.profile import ColumnProfile, Profile, as_number
from tunesmith.i18n import gettext as _
from tunesmith.recipe import DataSettings
from tunesmith.tasks.matching import Confidence, Match

__all__ = ["match_passages"]

_QUERIES = ("query", "searchquery", "查询", "检索词")
_PASSAGES = ("passage", "document", "doc", "passagetext", "text", "段落", "文档", "文本")
_LABELS = (
    "label", "labels", "relevance", "relevant", "isrelevant", "isselected", "grade", "score",
    "标签", "相关", "相关性", "相关度",
)  # fmt: skip
_NEARLY_ALL = 0.95


def match_passages(profile: Profile, requested: DataSettings) -> Match | None:
    """Match a query, a passage and a number, by type or by name; None if one is missing.

    Without a request it is this task only if queries are repeated: what is scored is the order of
    several passages for one query.
    """
    by_name = {plain_name(c.name): c for c in reversed(profile.columns)}
    by_type = {c.column.type: c for c in reversed(profile.columns)}

    def find(own: str | None, kind: str, names: tuple[str, ...]) -> ColumnProfile | None:
        if own is not None:
            return profile.column(own)
        known = (by_name[name] for name in names if name in by_name)
        return by_type.get(kind) or next(known, None)

    own_label = requested.label if isinstance(requested.label, str) else None
    query = find(requested.text, "query", _QUERIES)
    passage = find(requested.text_pair, "passage", _PASSAGES)
    label = find(own_label, "", _LABELS)
    if query is None or passage is None or label is None:
        return None
    if len({query.name, passage.name, label.name}) < 3 or isinstance(requested.label, tuple):
        return None
    roles = Roles(query.name, passage.name, label.name)
    named = {"text": requested.text, "text_pair": requested.text_pair, "label": own_label}
    is_shaped = query.column.type == "query"
    suggested = _suggested(roles, named, is_shaped=is_shaped)
    if not is_shaped and not (
        _are_flat(query, passage, label, profile) and not any(named.values())
    ):
        return Match(roles, "", Confidence.ON_REQUEST, suggested)
    reason = _("passages for each query in column {column}").format(column=query.name)
    return Match(roles, reason, Confidence.BY_SHAPE, suggested)


def _suggested(
    roles: Roles, named: Mapping[str, str | None], *, is_shaped: bool
) -> dict[str, Suggestion]:
    reason = _("by its values") if is_shaped else _("by its name")
    columns = {"text": roles.text, "text_pair": roles.text_pair, "label": roles.label}
    return {
        role: Suggestion(str(column), reason)
        for role, column in columns.items()
        if named[role] is None
    }


def _are_flat(
    query: ColumnProfile, passage: ColumnProfile, label: ColumnProfile, profile: Profile
) -> bool:
    """Whether queries recur with different passages, and labels are numbers from 0."""
    are_texts = query.column.type == passage.column.type == "text"
    recurs = 2 * query.distinct <= profile.num_rows and query.distinct < passage.distinct
    return are_texts and recurs and _are_grades(label)


def _are_grades(label: ColumnProfile) -> bool:
    """Whether nearly all values are numbers from 0; the others are reported by row."""
    if label.column.class_names or label.num_lists or label.num_nested or label.distinct < 2:
        return False
    if label.column.type == "boolean":
        return True
    numbers = ((as_number(value), count) for value, count in label.counts.items())
    grades = sum(count for number, count in numbers if number is not None and number >= 0)
    return grades >= _NEARLY_ALL * label.values

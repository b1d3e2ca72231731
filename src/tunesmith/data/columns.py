"""Which column is what: given by the person, or suggested from names and values with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.data.profile import ColumnProfile, Profile
from tunesmith.data.rows import Source
from tunesmith.errors import DataError, Place, Problem, nearest, quoted
from tunesmith.i18n import gettext as _

__all__ = ["Roles", "Suggestion", "missing_columns", "suggest_roles"]

_LABEL_NAMES = (
    "label", "labels", "class", "category", "target", "intent", "sentiment", "topic", "tag", "tags",
    "queue", "score", "rating", "stars", "similarity", "gold_label", "y", "output",
    "标签", "类别", "分类", "类型", "情感", "评分", "分数",
)  # fmt: skip
_TEXT_NAMES = (
    "text", "sentence", "content", "body", "message", "review", "comment", "question", "query",
    "document", "tweet", "utterance", "title", "description", "input", "prompt",
    "文本", "内容", "正文", "句子", "评论", "问题", "标题", "描述",
)  # fmt: skip
_PAIR_NAMES = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"), ("question", "answer"), ("question", "passage"),
    ("query", "passage"), ("query", "document"), ("query", "title"), ("text_a", "text_b"),
    ("text1", "text2"), ("sentence_a", "sentence_b"), ("sent1", "sent2"), ("q1", "q2"),
    ("source", "target"), ("句子1", "句子2"), ("文本1", "文本2"), ("问题1", "问题2"),
)  # fmt: skip
_NOT_TEXT = ("id", "idx", "index", "uid", "guid", "split", "lang", "language", "date", "created_at")


@dataclass(frozen=True, slots=True)
class Roles:
    """What each used column is for.

    Attributes:
        text: the column of the text.
        text_pair: the column of the second text, if texts come in pairs.
        label: the column of the label, several 0/1 columns, or None where rows have no label.
    """

    text: str
    text_pair: str | None = None
    label: str | tuple[str, ...] | None = None

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the label, none to several."""
        if self.label is None:
            return ()
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The one or two columns of text."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def columns(self) -> tuple[str, ...]:
        """All used columns."""
        return (*self.text_columns, *self.label_columns)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value and why it was chosen, in words."""

    value: str
    reason: str


def suggest_roles(found: Profile, taken: Sequence[str] = ()) -> dict[str, Suggestion]:
    """Suggest "text", "text_pair" and "label"; leaves out what it finds no candidate for.

    Args:
        found: what the source looks like.
        taken: columns that have a role already.
    """
    free = [column for column in found.columns if column.column.name not in taken]
    roles: dict[str, Suggestion] = {}
    label = _label(free)
    if label:
        roles["label"] = label
        free = [column for column in free if column.column.name != label.value]
    texts = [column for column in free if _may_be_text(column)]
    by_name = {column.column.name.lower(): column.column.name for column in texts}
    for first, second in _PAIR_NAMES:
        if first in by_name and second in by_name:
            reason = _("a pair by its names")
            roles["text"] = Suggestion(by_name[first], reason)
            roles["text_pair"] = Suggestion(by_name[second], reason)
            return roles
    for name in _TEXT_NAMES:
        if name in by_name:
            roles["text"] = Suggestion(by_name[name], _("by its name"))
            return roles
    if texts:
        longest = max(texts, key=lambda column: column.mean_length)
        roles["text"] = Suggestion(
            longest.column.name,
            _("the longest text, {length:.0f} characters on average").format(
                length=longest.mean_length
            ),
        )
    return roles


def _may_be_text(column: ColumnProfile) -> bool:
    return (
        column.column.type == "text"
        and column.values > 0
        and not column.is_numeric
        and column.column.name.lower() not in _NOT_TEXT
    )


def _label(columns: Sequence[ColumnProfile]) -> Suggestion | None:
    by_name = {column.column.name.lower(): column for column in columns}
    for name in _LABEL_NAMES:
        if name in by_name:
            return Suggestion(by_name[name].column.name, _("by its name"))
    for column in columns:
        if column.column.class_names:
            return Suggestion(column.column.name, _("its values have class names"))
    few = [
        column
        for column in columns
        if column.column.name.lower() not in _NOT_TEXT
        and 1 < column.distinct <= max(2, min(50, column.values // 4))
        and column.mean_length <= 40
    ]
    if not few:
        return None
    best = min(few, key=lambda column: column.distinct)
    return Suggestion(
        best.column.name, _("few different values ({count})").format(count=best.distinct)
    )


def missing_columns(
    wanted: Sequence[tuple[str, str]], source: Source
) -> Iterator[tuple[str, Problem]]:
    """For each wanted column that a source lacks, or has twice: its role and the problem.

    Args:
        wanted: pairs of role and column.
        source: whose columns.
    """
    by_name = {column.name: column for column in source.columns}
    for role, name in wanted:
        if name not in by_name:
            close = nearest(name, by_name)
            fix = _("columns: {names}").format(names=", ".join(by_name))
            if close:
                fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
            message = _('no column "{column}" in {source}').format(column=name, source=source.name)
            yield role, Problem("D301", message, fix=fix)
        elif numbers := by_name[name].duplicates:
            message = _('several columns of {source} are called "{name}": {numbers}').format(
                source=source.name, name=name, numbers=", ".join(map(str, numbers))
            )
            place = Place(source.name)
            yield role, Problem("D302", message, place, fix=_("Give each a name of its own."))


def need_a_role(role: str, found: Profile) -> DataError:
    """The error for a role that nobody gave and nothing suggests."""
    names = [column.column.name for column in found.columns]
    flag = "--" + role.replace("_", "-")
    fix = _("Name it with {flag}. Columns: {names}.").format(flag=flag, names=quoted(names))
    if role == "label":
        fix += "\n" + _("Text without labels is for --task masked-lm.")
    return DataError(
        Problem(
            "D301",
            _("it is not clear which column holds the {role}").format(role=role),
            Place(found.source.name),
            fix=fix,
        )
    )

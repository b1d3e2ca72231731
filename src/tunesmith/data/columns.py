"""Which column is what: the roles, suggestions for columns of text, and errors about columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from tunesmith.data.profile import ColumnProfile, Profile
from tunesmith.data.rows import Source
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import did_you_mean, quoted

__all__ = [
    "NOT_CONTENT",
    "SHAPED",
    "Roles",
    "Suggestion",
    "missing_columns",
    "need_a_role",
    "plain_name",
    "suggest_texts",
]

_TEXT_NAMES = (
    "text", "sentence", "content", "body", "message", "review", "comment", "question", "query",
    "document", "tweet", "utterance", "title", "description", "input", "prompt",
    "文本", "内容", "正文", "句子", "评论", "问题", "标题", "描述",
)  # fmt: skip
_PAIR_NAMES = (
    ("text", "textpair"), ("sentence1", "sentence2"), ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"), ("question", "answer"), ("question", "passage"),
    ("query", "passage"), ("query", "document"), ("query", "title"), ("texta", "textb"),
    ("text1", "text2"), ("sentencea", "sentenceb"), ("sent1", "sent2"), ("q1", "q2"),
    ("source", "target"), ("句子1", "句子2"), ("文本1", "文本2"), ("问题1", "问题2"),
)  # fmt: skip
NOT_CONTENT = (
    "id",
    "idx",
    "index",
    "uid",
    "guid",
    "split",
    "lang",
    "language",
    "date",
    "createdat",
)
"""Columns that are neither texts nor labels: they number or sort rows."""

SHAPED = frozenset(
    {"tokens", "tags", "entities", "choices", "choice", "answers", "query", "passage"}
)
"""Types of columns in which `data.shapes` put canonical values; only their task learns them."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The used columns.

    Attributes:
        text: the column of the text.
        text_pair: the column of the second text, if texts come in pairs.
        label: the column of the label, several 0/1 columns, or None for rows without labels.
        context: the column of what the text refers to, such as the article of a question; only
            tasks that say so read one.
        group: the column by which random splits keep rows together, if the user named one.
    """

    text: str
    text_pair: str | None = None
    label: str | tuple[str, ...] | None = None
    context: str | None = None
    group: str | None = None

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the label."""
        if self.label is None:
            return ()
        return (self.label,) if isinstance(self.label, str) else self.label

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns of text: the context if there is one, then one or two."""
        columns = (self.context, self.text, self.text_pair)
        return tuple(name for name in columns if name is not None)

    def as_json(self) -> dict[str, object]:
        """As plain values; a context and a group only if there is one."""
        return {
            key: value
            for key, value in asdict(self).items()
            if value is not None or key not in ("context", "group")
        }

    @property
    def labeled_columns(self) -> tuple[str, ...]:
        """What a row with a label must have."""
        return (*self.text_columns, *self.label_columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """All used columns."""
        group = () if self.group in (None, *self.labeled_columns) else (self.group,)
        return (*self.labeled_columns, *group)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value and why it was chosen."""

    value: str
    reason: str


def plain_name(name: str) -> str:
    """A column name without what its spelling may differ in: "Answer_Key" is "answerkey"."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def suggest_texts(profile: Profile, taken: Sequence[str] = ()) -> dict[str, Suggestion]:
    """Suggest "text", and "text_pair" where two columns are named as a pair.

    Args:
        profile: what the source looks like.
        taken: columns that have a role already.

    Returns:
        Nothing if no column may hold text.
    """
    texts = [c for c in profile.columns if c.name not in taken and _may_be_text(c)]
    by_name = {plain_name(column.name): column.name for column in texts}
    for first, second in _PAIR_NAMES:
        if first in by_name and second in by_name:
            reason = _("a pair by its names")
            return {
                "text": Suggestion(by_name[first], reason),
                "text_pair": Suggestion(by_name[second], reason),
            }
    for name in _TEXT_NAMES:
        if name in by_name:
            return {"text": Suggestion(by_name[name], _("by its name"))}
    if not texts:
        return {}
    longest = max(texts, key=lambda column: column.mean_length)
    reason = _("the longest text, {length:.0f} characters on average").format(
        length=longest.mean_length
    )
    return {"text": Suggestion(longest.name, reason)}


def _may_be_text(column: ColumnProfile) -> bool:
    return (
        column.column.type == "text"
        and column.values > 0
        and not column.is_numeric
        and plain_name(column.name) not in NOT_CONTENT
    )


def missing_columns(
    required: Sequence[tuple[str, str]], source: Source
) -> Iterator[tuple[str, Problem]]:
    """Yield the role and the problem of each required column that a source lacks or has twice.

    Args:
        required: pairs of role and column.
        source: to check.
    """
    by_name = {column.name: column for column in source.columns}
    for role, name in required:
        if name not in by_name:
            known = _("columns: {names}").format(names=", ".join(by_name))
            fix = did_you_mean(name, by_name, otherwise=known)
            message = _('no column "{column}" in {source}').format(column=name, source=source.name)
            yield role, Problem("D301", message, fix=fix)
        elif numbers := by_name[name].duplicates:
            message = _('several columns of {source} are called "{name}": {numbers}').format(
                source=source.name, name=name, numbers=", ".join(map(str, numbers))
            )
            place = Place(source.name)
            yield role, Problem("D302", message, place, fix=_("Give each a name of its own."))


def need_a_role(role: str, profile: Profile) -> DataError:
    """Return the error for a role that no column is named for and nothing suggests (D301)."""
    names = [column.name for column in profile.columns]
    flag = "--" + role.replace("_", "-")
    fix = _("Name it with {flag}. Columns: {names}.").format(flag=flag, names=quoted(names))
    if role == "label":
        fix += "\n" + _("Text without labels is for --task masked-lm.")
    message = _("it is not clear which column holds the {role}").format(role=role)
    return DataError.of("D301", message, Place(profile.source.name), fix=fix)

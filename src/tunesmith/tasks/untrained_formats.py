"""Formats of data that no task trains yet, recognized by sets of column names.

Most of them have a column that looks like the label of a classification. They are recognized
before any label is looked for, so that nothing trains on an answer that is no class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.data.columns import plain_name
from tunesmith.data.profile import ColumnProfile, Profile
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.tasks.matching import LABEL_NAMES

__all__ = ["UntrainedFormat", "untrained_format"]

Columns = Sequence[ColumnProfile]


@dataclass(frozen=True, slots=True)
class UntrainedFormat:
    """What a data set looks like.

    Attributes:
        description: the format, translated.
        columns: the columns by which it was recognized.
        lacks_context: whether a column is missing that would make it data of a task.
        advice: how it becomes data of a task, translated; empty where it does not.
    """

    description: str
    columns: tuple[str, ...]
    lacks_context: bool = False
    advice: str = ""


def _any(_columns: Columns) -> bool:
    return True


def _is_nested(columns: Columns) -> bool:
    """Whether the last column holds only objects, lists of them, lists of lists, or JSON of these.

    Empty lists are left aside.
    """
    last = columns[-1]
    pattern = _NESTED if last.num_nested else _NESTED_JSON
    return len(last.counts) > 0 and all(map(pattern.match, last.counts))


def _has_turns(columns: Columns) -> bool:
    return columns[0].num_lists > 0 or _is_nested(columns)


def _has_bio(columns: Columns) -> bool:
    return any(map(_BIO.search, columns[-1].counts))


def _is_generated(columns: Columns) -> bool:
    """Whether the last column holds texts that are no classes of those of the first."""
    first, last = columns[0], columns[-1]
    is_class = last.has_few_values and 2 * last.distinct <= first.distinct
    has_classes = last.column.class_names or last.column.type == "boolean"
    is_constant = first.distinct == 1 < last.distinct  # the first column is no text
    return last.values > 0 and not (last.is_numeric or has_classes or is_class or is_constant)


def _is_label(column: ColumnProfile, first: ColumnProfile) -> bool:
    """Whether a column holds classes, numbers or lists of labels for the texts of another."""
    recurs = 2 * column.distinct <= first.distinct and column.mean_length <= _LONGEST_LABEL
    is_named = plain_name(column.name) in LABEL_NAMES or column.column.class_names is not None
    return not column.num_nested and (
        is_named or recurs or column.is_numeric or column.num_lists > 0
    )


@dataclass(frozen=True, slots=True)
class _Signature:
    """A set of columns that tells a format.

    Attributes:
        description: the format.
        columns: for each column its possible names, as `plain_name` writes them.
        holds: what the values of these columns must be, in addition.
        is_weak: whether another column with classes is a better reading.
        lacks_context: of `UntrainedFormat`.
    """

    description: str
    columns: tuple[str, ...]
    holds: Callable[[Columns], bool] = _any
    is_weak: bool = False
    lacks_context: bool = False


_CHAT = N_("conversations")
_INSTRUCTIONS = N_("instructions with responses")
_PREFERENCES = N_("preferences between responses")
_TRIPLETS = N_("texts with similar and different ones, for embeddings")
_TOKENS = N_("a word with its tag in each row")
_WORD_ROWS = N_(
    "For entities, add a column sentence_id, or save it as CoNLL: a word and its tag on each line, "
    "a blank line after each sentence."
)
_ANSWERS = N_("questions with answers that are not parts of their context")
_WITHOUT_CONTEXT = N_("questions with answers")
_TEXT_TO_TEXT = N_("texts to be turned into other texts, such as translations or summaries")

_LONGEST_LABEL = 40
_NESTED = re.compile(r"[\[{]")
_NESTED_JSON = re.compile(r"\s*(\[\s*[\[{]|\{\s*[\"'])")
_BIO = re.compile(r"(^|[\s,'\"\[])[BIESLU]-\w")
"""A tag of an entity, alone or among others in one field."""

_CONTEXT = (
    "context contexts passage passages paragraph article story document text "
    "上下文 文章 段落 材料 原文 正文 背景 文本 文档 篇章"
)
_TOKEN = "token word tokens words 词 词语 字 字符 单词 词元"
_TAG = "tag tags nertag ner bio iob entity label labels 标签 标注 实体"
_ASKED = "question questions 问题 提问"
_ANSWER = "answer answers answertext a 答案 答案列表 答案文本 回答 答"
_RESPONSE = (
    "output outputs response responses completion completions answer reply generation "
    "输出 回答 回复 答复 答案 响应 补全"
)


def _generated(description: str, *columns: str) -> _Signature:
    """Return the signature of texts from texts, which labeled data may have, too."""
    return _Signature(description, columns, _is_generated, is_weak=True)


_SIGNATURES = (
    _Signature(_PREFERENCES, ("chosen 选中 优选 偏好回答", "rejected 拒绝 拒选 非偏好回答")),
    _Signature(
        _CHAT,
        (
            "messages message conversations conversation dialog dialogs dialogue dialogues chat "
            "chats turns 消息 对话 会话 多轮对话 聊天",
        ),
        _has_turns,
    ),
    _Signature(_INSTRUCTIONS, ("instruction instructions 指令 指示", f"{_RESPONSE} target 目标")),
    _Signature(_INSTRUCTIONS, ("prompt prompts 提示 提示词", _RESPONSE)),
    _generated(_INSTRUCTIONS, "user human 用户 人类", "assistant bot gpt 助手 助理 机器人"),
    _generated(_INSTRUCTIONS, "query question 问题 问", "response completion reply 回复 答复"),
    _Signature(_TOKENS, (_TOKEN, _TAG), _has_bio),
    _generated(_ANSWERS, f"{_ASKED} query", _CONTEXT, _ANSWER),
    _Signature(
        _WITHOUT_CONTEXT,
        (f"{_ASKED} query q 问", _ANSWER),
        _is_generated,
        is_weak=True,
        lacks_context=True,
    ),
    _Signature(_TRIPLETS, ("anchor", "positive pos 正例")),
    _Signature(_TEXT_TO_TEXT, ("translation translations 翻译",), _is_nested),
    _generated(
        _TEXT_TO_TEXT,
        "source sourcetext src input inputs inputtext 原文 源语言 源文本 源文 输入 源",
        "target targettext tgt output outputs translation 译文 翻译 目标语言 目标文本 目标 输出",
    ),
    _generated(
        _TEXT_TO_TEXT,
        "document documents article articles text dialogue dialog body content report description "
        "reviewbody 文章 正文 文档 文本 内容 原文 对话",
        "summary summaries highlights abstract tldr headline reviewtitle 摘要 总结 概要",
    ),
    _generated(
        _TEXT_TO_TEXT,
        "en english enus 英文 英语",
        "zh chinese zhcn de german fr french es spanish ja japanese ru ko it pt ar cs ro hi vi "
        "中文 汉语",
    ),
)


def untrained_format(profile: Profile, label: str | None = None) -> UntrainedFormat | None:
    """Return the format that a data set is in, if no task trains it.

    Args:
        profile: what the data set looks like.
        label: the column that the best task would learn.
    """
    by_name = {plain_name(column.name): column for column in profile.columns}
    better = profile.column(label) if label is not None else None
    for signature in _SIGNATURES:
        columns = [
            next((by_name[name] for name in names.split() if name in by_name), None)
            for names in signature.columns
        ]
        present = [column for column in columns if column is not None]
        if len({column.name for column in present}) < len(columns) or not signature.holds(present):
            continue
        is_labeled = better is not None and better not in present and _is_label(better, present[0])
        if not (signature.is_weak and is_labeled):
            names = tuple(column.name for column in present)
            description = _(signature.description)
            advice = _(_WORD_ROWS) if signature.description == _TOKENS else ""
            return UntrainedFormat(description, names, signature.lacks_context, advice)
    return None

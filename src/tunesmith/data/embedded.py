"""Data sets that come with the package, made from a seed by a small grammar. Nothing is downloaded.

`embedded:tickets` holds messages to a restaurant in English and Chinese, with six classes of
unequal size.
"""

from __future__ import annotations

import random
from functools import cache

from tunesmith.data.columnar import Memory
from tunesmith.data.rows import Column, Splits
from tunesmith.errors import DataError, Place, Problem, nearest
from tunesmith.language import gettext as _

__all__ = ["NAMES", "open_embedded"]

NAMES = ("tickets",)

_SIZES = {"train": 600, "validation": 120, "test": 120}
_SEED = 20_260_101

_DISHES = {
    "en": (
        "tomato soup",
        "fried rice",
        "lamb skewers",
        "mushroom pie",
        "noodle salad",
        "plum cake",
    ),
    "zh": ("番茄汤", "炒饭", "羊肉串", "蘑菇派", "凉拌面", "李子蛋糕"),
}
_TIMES = {
    "en": ("tonight", "on Friday", "at noon", "yesterday", "on Sunday evening", "this morning"),
    "zh": ("今晚", "星期五", "中午", "昨天", "周日晚上", "今天早上"),
}
_PEOPLE = {"en": ("two", "three", "four", "six", "ten"), "zh": ("两", "三", "四", "六", "十")}
_OPENERS = {
    "en": ("Hello, ", "Good day. ", "Hi there, ", "", "Excuse me, ", "Dear team, "),
    "zh": ("你好，", "您好，", "", "打扰一下，", "老板，", "请问，"),
}
_CLOSERS = {
    "en": ("", " Thank you.", " Please answer soon.", " We have been guests for years."),
    "zh": ("", "谢谢。", "请尽快回复。", "我们是老顾客了。"),
}
# class: weight, then patterns per language
_CLASSES = {
    "booking": (
        6,
        {
            "en": ("is a table for {n} free {t}?", "we would like to book for {n} {t}.",
                   "can you keep seats for {n} of us {t}?"),
            "zh": ("{t}还有{n}个人的位子吗？", "我们想订{t}{n}位的桌子。",
                   "{t}能给我们{n}个人留位吗？"),
        },
    ),
    "order": (
        5,
        {
            "en": ("I want {n} portions of {d} to take away {t}.", "please add {d} to my order.",
                   "send {n} times {d} to our office {t}."),
            "zh": ("{t}我要{n}份{d}带走。", "请在我的订单里加一份{d}。",
                   "{t}送{n}份{d}到我们公司。"),
        },
    ),
    "complaint": (
        4,
        {
            "en": ("the {d} {t} was cold and salty.", "we waited an hour for {d} {t}.",
                   "there was a hair in my {d}."),
            "zh": ("{t}的{d}又冷又咸。", "{t}等{d}等了一个小时。", "我的{d}里有一根头发。"),
        },
    ),
    "refund": (
        2,
        {
            "en": ("I paid twice for {d}, give the money back.", "please refund the {d} of {t}.",
                   "the {d} never came, I want my money."),
            "zh": ("{d}付了两次钱，请退款。", "请把{t}的{d}退款给我。",
                   "{d}一直没送到，我要退钱。"),
        },
    ),
    "ingredients": (
        2,
        {
            "en": ("are there nuts in the {d}?", "which oil do you fry the {d} in?",
                   "is the {d} free of milk?"),
            "zh": ("{d}里有坚果吗？", "{d}是用什么油炒的？", "{d}里含不含牛奶？"),
        },
    ),
    "praise": (
        1,
        {
            "en": ("the {d} {t} was the best of my life!",
                   "what a fine {d}, my thanks to the cook.", "all {n} of us loved the {d}."),
            "zh": ("{t}的{d}是我吃过最好吃的！", "{d}真棒，谢谢厨师。", "我们{n}个人都很喜欢{d}。"),
        },
    ),
}  # fmt: skip


def open_embedded(name: str) -> Splits:
    """The splits of an embedded set.

    Raises:
        DataError: there is none of this name (D105).
    """
    if name not in NAMES:
        close = nearest(name, NAMES)
        fix = _("Embedded sets: {names}.").format(names=", ".join(f"embedded:{n}" for n in NAMES))
        if close:
            fix = _('Did you mean "{name}"?').format(name=f"embedded:{close[0]}") + "\n" + fix
        raise DataError(
            Problem("D105", _("there is no such embedded set"), Place(f"embedded:{name}"), fix=fix)
        )
    columns = (
        Column("text", "text"),
        Column("label", "text", tuple(_CLASSES)),
        Column("language", "text"),
    )
    return {
        split: Memory(rows, f"embedded:{name}:{split}", columns)
        for split, rows in _tickets().items()
    }


@cache
def _tickets() -> dict[str, list[dict[str, object]]]:
    """Every text once over all splits, so that no split leaks into another."""
    draw = random.Random(_SEED)
    seen: set[str] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, size in _SIZES.items():
        rows: list[dict[str, object]] = []
        while len(rows) < size:
            row = _ticket(draw)
            if row["text"] not in seen:
                seen.add(str(row["text"]))
                rows.append(row)
        splits[split] = rows
    return splits


def _ticket(draw: random.Random) -> dict[str, object]:
    names = list(_CLASSES)
    label = draw.choices(names, weights=[_CLASSES[name][0] for name in names])[0]
    language = draw.choices(("en", "zh"), weights=(3, 2))[0]
    pattern = draw.choice(_CLASSES[label][1][language])
    body = pattern.format(
        d=draw.choice(_DISHES[language]),
        t=draw.choice(_TIMES[language]),
        n=draw.choice(_PEOPLE[language]),
    )
    opener = draw.choice(_OPENERS[language])
    if language == "en" and not opener.endswith(", "):
        body = body[0].upper() + body[1:]
    text = opener + body + draw.choice(_CLOSERS[language])
    return {"text": text, "label": label, "language": language}

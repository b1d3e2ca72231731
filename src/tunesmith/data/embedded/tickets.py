"""`embedded:tickets`: messages to a restaurant in six classes of unequal size, with known faults.

What is wrong with the set is wrong on purpose and listed in `FAULTS`: checks of data have something
to find, and tests know what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tunesmith.data.embedded.frames import Frame
from tunesmith.data.embedded.grammar import Draw, Piece, distinct_rows, join, observe, say
from tunesmith.data.embedded.words import Language

__all__ = ["CLASSES", "SIZES", "Fault", "faults", "make_tickets", "ticket"]

SIZES = {"train": 1200, "validation": 240, "test": 240}
_SEED = 20_260_103
_DUPLICATES, _NEAR_DUPLICATES, _LEAKS, _WRONG_LABELS, _CONFLICTS = 8, 4, 2, 18, 3

CLASSES: dict[str, tuple[int, tuple[Frame, ...]]] = {
    "booking": (
        6,
        (
            Frame(
                {"n": "count", "when": "time", "place": "place"},
                {
                    "en": (
                        "is there still room for {n} people {when}?",
                        "we would like to sit in {place} {when}, {n} of us",
                        "can you keep {place} for {n} guests {when}?",
                        "please write us down {when} for {n} persons",
                        "{n} of us want to come {when}, do you have {place} free?",
                    ),
                    "zh": (
                        "{when}还有{n}个人的位子吗？",
                        "我们想订{when}{place}，{n}位",
                        "{when}能给我们{n}个人留{place}吗？",
                        "请登记一下，{when}，{n}个人",
                    ),
                },
            ),
        ),
    ),
    "order": (
        5,
        (
            Frame(
                {"n": "count", "dish": "dish", "when": "time"},
                {
                    "en": (
                        "I want {n} portions of {dish} to take away {when}",
                        "please send {n} times {dish} to our office {when}",
                        "add {n} plates of {dish} to what I asked for",
                        "can someone bring {n} servings of {dish} {when}?",
                    ),
                    "zh": (
                        "{when}我要{n}份{dish}带走",
                        "{when}请送{n}份{dish}到我们公司",
                        "请再加{n}份{dish}",
                        "{when}能送{n}份{dish}过来吗？",
                    ),
                },
            ),
        ),
    ),
    "complaint": (
        4,
        (
            Frame(
                {"dish": "dish", "quality": "quality", "span": "span"},
                {
                    "en": (
                        "the {dish} was {quality}, which it should not be",
                        "there was a hair in the {dish}, this must not happen",
                        "we sat there for {span} until the {dish} came, nobody said sorry",
                        "your {dish} was {quality} and the staff only laughed",
                        "I am angry: {span} for one {dish}",
                    ),
                    "zh": (
                        "{dish}{quality}，不应该这样",
                        "{dish}里有一根头发，太不应该了",
                        "等{dish}等了{span}，没有人道歉",
                        "你们的{dish}{quality}，服务员还笑",
                        "我很生气：一份{dish}要等{span}",
                    ),
                },
            ),
        ),
    ),
    "refund": (
        2,
        (
            Frame(
                {"dish": "dish", "price": "price"},
                {
                    "en": (
                        "I paid twice for the {dish}, give me back {price}",
                        "please return the {price} for the {dish}",
                        "the {dish} never came, I want my {price} again",
                        "you charged {price} too much for the {dish}, send it back to my card",
                    ),
                    "zh": (
                        "{dish}我付了两次钱，请退{price}",
                        "请把{dish}的{price}还给我",
                        "{dish}一直没送到，{price}要退给我",
                        "{dish}多收了{price}，请退到我的卡上",
                    ),
                },
            ),
        ),
    ),
    "ingredients": (
        2,
        (
            Frame(
                {"dish": "dish", "what": "ingredient"},
                {
                    "en": (
                        "is there any {what:s} in the {dish}?",
                        "my child must not eat {what:s}, what about the {dish}?",
                        "do you make the {dish} with {what:s} or without?",
                        "which oil do you use for the {dish}, and is {what:s} in it?",
                    ),
                    "zh": (
                        "{dish}里有{what}吗？",
                        "我的孩子不能吃{what}，{dish}可以吗？",
                        "{dish}是放{what}还是不放？",
                        "{dish}用什么油，有没有{what}？",
                    ),
                },
            ),
        ),
    ),
    "praise": (
        1,
        (
            Frame(
                {"dish": "dish", "who": "person", "n": "count"},
                {
                    "en": (
                        "the {dish} was the best of my life",
                        "what a fine {dish}, my thanks to {who}",
                        "all {n} of us loved the {dish}",
                        "{who} was so kind, and the {dish} was a dream",
                    ),
                    "zh": (
                        "{dish}是我吃过最好吃的",
                        "{dish}真棒，谢谢{who}",
                        "我们{n}个人都很喜欢{dish}",
                        "{who}人真好，{dish}太好吃了",
                    ),
                },
            ),
        ),
    ),
}
"""Each class with its weight and what its messages say."""

_CONTEXT = (
    Frame(
        {"dish": "dish", "when": "time", "place": "place", "who": "person", "n": "count"},
        {
            "en": (
                "I was with you {when} and had the {dish}",
                "we are {n} friends and sat in {place}",
                "{who} told me to write to you",
                "I spoke to {who} about it {when}",
                "usually I order the {dish}",
                "my family has come to you for many years",
                "a friend of mine told me about your {dish} and so I had to try it for myself",
            ),
            "zh": (
                "我{when}来过，吃了{dish}",
                "我们{n}个朋友坐在{place}",
                "{who}让我写信给你们",
                "{when}我跟{who}说过这件事",
                "我平时点{dish}",
                "我们一家是多年的老顾客",
                "朋友跟我推荐了你们的{dish}，所以我一定要来尝一尝",
            ),
        },
    ),
)
"""Other statements, which do not depend on the class."""

_OPENERS: dict[Language, tuple[str, ...]] = {
    "en": ("hello, ", "good day, ", "hi there, ", "excuse me, ", "dear team, ", ""),
    "zh": ("你好，", "您好，", "打扰一下，", "老板，", "请问，", ""),
}
_CLOSERS: dict[Language, tuple[str, ...]] = {
    "en": ("", " Thank you.", " Please answer soon.", " Kind regards."),
    "zh": ("", "谢谢。", "请尽快回复。", "祝好。"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A planted fault of the set.

    Attributes:
        kind: "duplicate", "near duplicate", "leak" (a test row that is in train), "wrong label" or
            "conflict" (one text with two labels).
        split: where the bad row is.
        row: its number.
        twin: the row of train that it repeats, if it repeats one.
        right_label: what the label should be, if it is wrong.
    """

    kind: str
    split: str
    row: int
    twin: int | None = None
    right_label: str | None = None


def make_tickets() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split, with the faults."""
    return _make()[0]


def faults() -> tuple[Fault, ...]:
    """Return the planted faults, by split and row."""
    return _make()[1]


@cache
def _make() -> tuple[dict[str, list[dict[str, object]]], tuple[Fault, ...]]:
    draw = Draw(_SEED)
    splits = distinct_rows(SIZES, lambda: ticket(draw), lambda row: (row["text"],))
    return splits, tuple(_plant(splits, draw))


def ticket(draw: Draw) -> dict[str, object]:
    """Make a message with its class, in one of the languages."""
    names = list(CLASSES)
    label = draw.pick(names, [CLASSES[name][0] for name in names])
    language: Language = draw.pick(("en", "zh"), (3, 2))
    about = [say(observe(draw, draw.pick(CLASSES[label][1])), language, draw)]
    about += [
        say(observe(draw, draw.pick(_CONTEXT)), language, draw)
        for _sentence in range(draw.pick((0, 1, 2, 9), (3, 4, 2, 0.3)))
    ]
    about = draw.shuffled(about)
    opener = draw.pick(_OPENERS[language])
    if opener:
        about[0] = [Piece(opener), *about[0]]
    text = "".join(piece.text for piece in join(about, language, draw))
    for doubled, single in (
        ("?.", "?"),
        ("？。", "？"),
        ("?;", "?"),
        ("?,", "?"),
        ("？，", "？"),
        ("？；", "？"),
    ):
        text = text.replace(doubled, single)
    return {"text": text + draw.pick(_CLOSERS[language]), "label": label, "language": language}


def _plant(splits: dict[str, list[dict[str, object]]], draw: Draw) -> list[Fault]:
    """Plant the faults; no row has two of them."""
    train, test = splits["train"], splits["test"]
    free = draw.shuffled(range(len(train)))
    planted: list[Fault] = []

    def repeated(kind: str, count: int) -> Sequence[tuple[int, int]]:
        rows = [(free.pop(), free.pop()) for _fault in range(count)]
        planted.extend(Fault(kind, "train", row, twin=twin) for row, twin in rows)
        return rows

    for row, twin in repeated("duplicate", _DUPLICATES):
        train[row] = dict(train[twin])
    for row, twin in repeated("near duplicate", _NEAR_DUPLICATES):
        text = str(train[twin]["text"])
        train[row] = {**train[twin], "text": text.upper().replace(" ", "  ") + " "}
    for row, twin in repeated("conflict", _CONFLICTS):
        train[row] = {**train[twin], "label": _another(str(train[twin]["label"]), draw)}
    for _fault in range(_LEAKS):
        row, twin = draw.below(len(test)), free.pop()
        test[row] = dict(train[twin])
        planted.append(Fault("leak", "test", row, twin=twin))
    for _fault in range(_WRONG_LABELS):
        row = free.pop()
        right = str(train[row]["label"])
        train[row]["label"] = _another(right, draw)
        planted.append(Fault("wrong label", "train", row, right_label=right))
    return sorted(planted, key=lambda fault: (fault.split, fault.row))


def _another(label: str, draw: Draw) -> str:
    return draw.pick([name for name in CLASSES if name != label])

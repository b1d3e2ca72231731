"""The grammar: things that can be said about a kitchen, and several ways to say each.

A `Frame` is a kind of statement, with slots for concepts. A `Fact` is a frame with its slots
filled. `say` puts a fact into words; saying it twice gives two sentences that mean the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from string import Formatter
from typing import TypeVar

from tunesmith.data.embedded.words import Concept, Language, concepts, opposite

__all__ = [
    "FRAMES",
    "Draw",
    "Fact",
    "Frame",
    "Piece",
    "confuse",
    "distort",
    "join",
    "name",
    "observe",
    "say",
]

T = TypeVar("T")

_USUAL = 3.0
"""How much oftener the first word for a concept is used than each of the others."""


class Draw:
    """Chance from a seed, the same on every machine: only `random()` is promised to stay."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def share(self) -> float:
        """A number from 0 to 1."""
        return self._random.random()

    def below(self, stop: int) -> int:
        """A whole number from 0 to `stop` - 1."""
        return int(self._random.random() * stop)

    def pick(self, choices: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the choices."""
        if weights is None:
            return choices[self.below(len(choices))]
        at = self._random.random() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            at -= weight
            if at < 0:
                return choice
        return choices[-1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        mixed = list(items)
        for i in range(len(mixed) - 1, 0, -1):
            j = self.below(i + 1)
            mixed[i], mixed[j] = mixed[j], mixed[i]
        return mixed


@dataclass(frozen=True, slots=True)
class Frame:
    """A kind of statement.

    Attributes:
        slots: for each slot the kind of its concept.
        yes: patterns per language that state it. `{slot:s}` asks for the other form of a word.
        no: patterns that deny it, for frames that can be denied.
        swaps: two slots that can trade places and so change the meaning.
    """

    slots: Mapping[str, str]
    yes: Mapping[Language, tuple[str, ...]]
    no: Mapping[Language, tuple[str, ...]] | None = None
    swaps: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A frame with its slots filled, stated or denied."""

    frame: Frame
    values: Mapping[str, Concept]
    is_true: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a sentence: words of the pattern, or the words of a concept."""

    text: str
    concept: Concept | None = None


FRAMES: tuple[Frame, ...] = (
    Frame(
        {"who": "person", "count": "count", "dish": "dish", "when": "time"},
        {
            "en": (
                "{who} wants {count} portions of {dish} {when}",
                "{when} {who} would like to have {count} servings of {dish}",
                "please bring {who} {count} plates of {dish} {when}",
                "{count} helpings of {dish} are meant for {who} {when}",
            ),
            "zh": (
                "{who}{when}要{count}份{dish}",
                "{when}请给{who}上{count}盘{dish}",
                "{who}点了{count}份{dish}，{when}吃",
                "{count}份{dish}是{who}{when}的",
            ),
        },
    ),
    Frame(
        {"who": "person", "count": "count", "place": "place", "when": "time"},
        {
            "en": (
                "{who} booked {place} for {count} people {when}",
                "{when} {place} is reserved for {who} and {count} people in all",
                "for {count} persons {who} has taken {place} {when}",
                "{when} {place} is kept free because {who} comes with a group of {count}",
            ),
            "zh": (
                "{who}订了{when}{place}的{count}个座位",
                "{when}{place}留给{who}，一共{count}个人",
                "{who}{when}带{count}个人来，坐{place}",
            ),
        },
    ),
    Frame(
        {"dish": "dish", "with": "ingredient", "span": "span"},
        {
            "en": (
                "let the {dish} simmer with the {with:s} for {span}",
                "the {dish} has to cook for {span} together with the {with:s}",
                "the {with:s} and the {dish} stay on the stove for {span}",
                "for {span} keep the {dish} on the heat, the {with:s} too",
            ),
            "zh": (
                "把{dish}和{with}一起煮{span}",
                "{with}放进{dish}里，炖{span}",
                "{dish}要加{with}在火上煮{span}",
            ),
        },
    ),
    Frame(
        {"dish": "dish", "what": "ingredient"},
        {
            "en": (
                "the {dish} contains {what:s}",
                "you will find {what:s} in the {dish}",
                "the {dish} is made with {what:s}",
                "{what:s} went into the {dish}",
                "the {dish} is not free of {what:s}",
            ),
            "zh": (
                "{dish}里有{what}",
                "{dish}含{what}",
                "做{dish}用了{what}",
                "{dish}里放了{what}",
            ),
        },
        {
            "en": (
                "the {dish} contains no {what:s}",
                "you will not find any {what:s} in the {dish}",
                "the {dish} is made without {what:s}",
                "no {what:s} went into the {dish}",
                "the {dish} is free of {what:s}",
            ),
            "zh": (
                "{dish}里没有{what}",
                "{dish}不含{what}",
                "做{dish}没用{what}",
                "{dish}里没放{what}",
            ),
        },
    ),
    Frame(
        {"place": "place", "when": "time"},
        {
            "en": (
                "{place} is open {when}",
                "guests can use {place} {when}",
                "{when} {place} is not closed",
                "{when} you may sit down in {place}",
            ),
            "zh": (
                "{place}{when}开放",
                "{when}可以用{place}",
                "{place}{when}不关",
                "{when}客人能去{place}",
            ),
        },
        {
            "en": (
                "{place} is closed {when}",
                "guests cannot use {place} {when}",
                "{when} {place} is not open",
                "{when} nobody may sit down in {place}",
            ),
            "zh": (
                "{place}{when}关闭",
                "{when}不能用{place}",
                "{place}{when}不开",
                "{when}客人不能去{place}",
            ),
        },
    ),
    Frame(
        {"giver": "person", "taker": "person", "thing": "thing"},
        {
            "en": (
                "{giver} handed the {thing} to {taker}",
                "{taker} got the {thing} from {giver}",
                "{giver} gave {taker} the {thing}",
                "it was {giver} from whom {taker} received the {thing}",
                "the {thing} was passed on to {taker} by {giver}",
            ),
            "zh": (
                "{giver}把{thing}交给了{taker}",
                "{taker}从{giver}那里拿到了{thing}",
                "{giver}给了{taker}{thing}",
                "{taker}收到了{giver}给的{thing}",
            ),
        },
        swaps=("giver", "taker"),
    ),
    Frame(
        {"master": "person", "learner": "person", "dish": "dish"},
        {
            "en": (
                "{master} taught {learner} how to make {dish}",
                "{learner} learned from {master} how {dish} is made",
                "{master} showed {learner} the way to cook {dish}",
                "thanks to {master}, {learner} can now cook {dish}",
            ),
            "zh": (
                "{master}教{learner}做{dish}",
                "{learner}跟{master}学会了做{dish}",
                "{dish}的做法是{master}教给{learner}的",
            ),
        },
        swaps=("master", "learner"),
    ),
    Frame(
        {"dish": "dish", "price": "price"},
        {
            "en": (
                "the {dish} costs {price}",
                "you pay {price} for the {dish}",
                "{price} is what we ask for the {dish}",
                "we sell the {dish} at {price}",
            ),
            "zh": (
                "{dish}卖{price}",
                "{dish}的价格是{price}",
                "一份{dish}要{price}",
                "{price}一份{dish}",
            ),
        },
    ),
    Frame(
        {"who": "person", "span": "span", "when": "time"},
        {
            "en": (
                "{who} came {span} late {when}",
                "{when} {who} arrived {span} after the time we agreed on",
                "{when} we had to wait {span} for {who}",
                "{who} kept all of us waiting for {span} {when}",
            ),
            "zh": (
                "{when}{who}迟到了{span}",
                "{who}{when}晚来了{span}",
                "{when}我们等{who}等了{span}",
            ),
        },
    ),
    Frame(
        {"dish": "dish", "quality": "quality", "who": "person"},
        {
            "en": (
                "{who} said that the {dish} was {quality}",
                "{who} found the {dish} {quality}",
                "in the opinion of {who} the {dish} was {quality}",
                "the {dish} was {quality}, said {who}",
            ),
            "zh": (
                "{who}说{dish}{quality}",
                "{who}觉得{dish}{quality}",
                "{dish}{quality}，{who}这么说",
            ),
        },
    ),
    Frame(
        {"new": "ingredient", "old": "ingredient", "dish": "dish"},
        {
            "en": (
                "for the {dish} take {new:s} instead of {old:s}",
                "in the {dish} replace the {old:s} with {new:s}",
                "leave the {old:s} out of the {dish} and use {new:s}",
                "put {new:s} into the {dish} where {old:s} used to go",
            ),
            "zh": (
                "{dish}里用{new}代替{old}",
                "{dish}里的{old}换成{new}",
                "做{dish}别放{old}，放{new}",
            ),
        },
        swaps=("new", "old"),
    ),
    Frame(
        {"first": "deed", "second": "deed"},
        {
            "en": (
                "{first} before you {second}",
                "before {second:s} you should {first}",
                "after {first:s} please {second}",
                "first {first}, then {second}",
                "do not {second} until you are done with {first:s}",
            ),
            "zh": (
                "先{first}，再{second}",
                "{second}之前要{first}",
                "{first}之后再{second}",
                "{first}好了才{second}",
            ),
        },
        swaps=("first", "second"),
    ),
    Frame(
        {"who": "person", "better": "dish", "worse": "dish"},
        {
            "en": (
                "{who} likes {better} more than {worse}",
                "{who} prefers {better} to {worse}",
                "{who} would rather eat {better} than {worse}",
                "{worse} is less to the taste of {who} than {better}",
            ),
            "zh": (
                "{who}更喜欢{better}，不太喜欢{worse}",
                "比起{worse}，{who}更爱吃{better}",
                "{who}宁愿吃{better}也不吃{worse}",
            ),
        },
        swaps=("better", "worse"),
    ),
    Frame(
        {"weight": "weight", "what": "ingredient"},
        {
            "en": (
                "there are {weight} of {what:s} left",
                "we still have {weight} of {what:s}",
                "our stock of {what:s} is down to {weight}",
                "{weight} of {what:s} remain in the cold store",
            ),
            "zh": ("还剩{weight}{what}", "我们还有{weight}{what}", "{what}的库存只有{weight}了"),
        },
    ),
    Frame(
        {"dish": "dish", "degrees": "degrees", "span": "span"},
        {
            "en": (
                "bake the {dish} at {degrees} for {span}",
                "the {dish} needs {span} in the oven at {degrees}",
                "set the oven to {degrees} and take the {dish} out after {span}",
                "after {span} at {degrees} the {dish} is done",
            ),
            "zh": (
                "{dish}用{degrees}烤{span}",
                "烤箱调到{degrees}，{dish}烤{span}",
                "{dish}在{degrees}下要烤{span}",
            ),
        },
    ),
)  # fmt: skip


def observe(draw: Draw, frame: Frame | None = None) -> Fact:
    """A fact by chance; two slots of one kind never hold the same concept."""
    frame = frame or draw.pick(FRAMES)
    values: dict[str, Concept] = {}
    for slot, kind in frame.slots.items():
        values[slot] = _another(kind, values, draw)
    return Fact(frame, values, frame.no is None or draw.share() < 0.5)


def distort(fact: Fact, draw: Draw) -> Fact:
    """A fact that differs in one thing: denied, turned round, or with another concept in a slot."""
    frame = fact.frame
    way = "slot" if draw.share() < 1 / 3 else "turn"
    if way == "turn" and frame.no is not None:
        return replace(fact, is_true=not fact.is_true)
    values = dict(fact.values)
    if way == "turn" and frame.swaps is not None:
        first, second = frame.swaps
        values[first], values[second] = values[second], values[first]
        return replace(fact, values=values)
    slot = draw.pick(list(frame.slots))
    if frame.slots[slot] == "quality":
        values[slot] = opposite(values[slot])
    else:
        values[slot] = _another(frame.slots[slot], values, draw)
    return replace(fact, values=values)


def confuse(fact: Fact, draw: Draw) -> Fact:
    """A fact of the same frame in which several slots, or all of them, hold another concept."""
    values = dict(fact.values)
    slots = draw.shuffled(list(values))
    for slot in slots[: 2 + draw.below(max(len(slots) - 1, 1))]:
        values[slot] = _another(fact.frame.slots[slot], {**values, "": fact.values[slot]}, draw)
    return replace(fact, values=values)


def _another(kind: str, taken: Mapping[str, Concept], draw: Draw) -> Concept:
    """A concept of a kind that no slot holds yet."""
    while True:
        concept = draw.pick(concepts(kind))
        if concept not in taken.values():
            return concept


def say(fact: Fact, language: Language, draw: Draw) -> list[Piece]:
    """A fact in words, without capital letter and full stop."""
    patterns = fact.frame.yes if fact.is_true or fact.frame.no is None else fact.frame.no
    pieces = []
    for words, slot, form in _parts(draw.pick(patterns[language])):
        if words:
            pieces.append(Piece(words))
        if slot:
            concept = fact.values[slot]
            pieces.append(Piece(name(concept, language, draw, other_form=form == "s"), concept))
    return pieces


def name(concept: Concept, language: Language, draw: Draw, *, other_form: bool = False) -> str:
    """One of the ways to say a concept, mostly the usual one."""
    ways = concept.ways(language, other_form=other_form)
    return draw.pick(ways, [_USUAL, *[1.0] * (len(ways) - 1)])


@cache
def _parts(pattern: str) -> tuple[tuple[str, str | None, str | None], ...]:
    """A pattern as words, each followed by a slot and the form it asks for."""
    return tuple((words, slot, form) for words, slot, form, _rest in Formatter().parse(pattern))


def join(sentences: Sequence[Sequence[Piece]], language: Language, draw: Draw) -> list[Piece]:
    """Sentences one after the other, with stops between them and a capital letter at each start."""
    stop = ". " if language == "en" else "。"
    text: list[Piece] = []
    starts = True
    for i, sentence in enumerate(sentences):
        for piece in sentence:
            words = piece.text[0].upper() + piece.text[1:] if starts else piece.text
            text.append(Piece(words, piece.concept))
            starts = False
        is_last = i == len(sentences) - 1
        if is_last or draw.share() < 0.7:
            text.append(Piece(stop.rstrip() if is_last else stop))
            starts = True
        elif language == "en":
            text.append(Piece(draw.pick((", and ", "; ", ", also "))))
        else:
            text.append(Piece(draw.pick(("，", "；", "，另外"))))
    return text

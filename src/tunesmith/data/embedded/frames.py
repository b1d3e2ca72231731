"""What can be said about a kitchen: each kind of statement in several patterns per language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.data.embedded.words import Language

__all__ = ["FRAMES", "Frame"]


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

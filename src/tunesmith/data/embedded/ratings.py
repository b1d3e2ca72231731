"""`embedded:ratings`: reviews of a restaurant, each with a number from 1 to 5."""

from __future__ import annotations

from tunesmith.data.embedded.frames import Frame
from tunesmith.data.embedded.grammar import Draw, Fact, Piece, distinct_rows, join, observe, say
from tunesmith.data.embedded.words import Concept, Language

__all__ = ["SIZES", "make_ratings", "review"]

SIZES = {"train": 1200, "validation": 240, "test": 240}
_SEED = 20_260_104

_DEGREES = tuple(
    Concept("degree", english[0], tuple((way, way) for way in english), chinese)
    for english, chinese in (
        (
            ("a disaster", "awful", "an insult"),
            ("糟透了", "一塌糊涂", "让人难以忍受"),
        ),
        (
            ("rather poor", "not good", "a little disappointing"),
            ("不怎么样", "不太好", "有点让人失望"),
        ),
        (
            ("all right", "neither good nor bad", "as one expects"),
            ("还可以", "不好不坏", "马马虎虎"),
        ),
        (("good", "not bad at all", "pleasing"), ("不错", "挺好", "一点也不差")),
        (
            ("a dream", "wonderful", "better than anywhere else"),
            ("太棒了", "好极了", "哪儿都比不上"),
        ),
    )
)
"""Five degrees, from worst to best."""

_FOOD = Frame(
    {"dish": "dish", "when": "time"},
    {
        "en": (
            "the {dish} was {degree}",
            "{when} I had the {dish}: {degree}",
            "I call the {dish} {degree}",
        ),
        "zh": ("{dish}{degree}", "{when}吃了{dish}，{degree}", "要我说，{dish}{degree}"),
    },
)
_REST = (
    Frame(
        {"who": "person"},
        {
            "en": ("the way {who} treated us was {degree}", "as for {who}, {degree}"),
            "zh": ("{who}的态度{degree}", "说到{who}，{degree}"),
        },
    ),
    Frame(
        {"place": "place"},
        {
            "en": ("sitting in {place} was {degree}", "{place} itself was {degree}"),
            "zh": ("坐在{place}，{degree}", "{place}的环境{degree}"),
        },
    ),
    Frame(
        {"price": "price", "dish": "dish"},
        {
            "en": ("{price} for the {dish}, that is {degree}", "the price of {price} was {degree}"),
            "zh": ("{dish}{price}，这价钱{degree}", "{price}的价格{degree}"),
        },
    ),
)


def make_ratings() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split. The food counts twice, and ratings have some noise."""
    draw = Draw(_SEED)
    return distinct_rows(SIZES, lambda: review(draw), lambda row: (row["text"],))


def review(draw: Draw) -> dict[str, object]:
    """Make a review with its number, in one of the languages."""
    language: Language = draw.pick(("en", "zh"), (3, 2))
    mood = draw.below(5)
    frames = [_FOOD, *draw.shuffled(_REST)[: draw.pick((0, 1, 2, 3), (2, 3, 3, 1))]]
    degrees = [min(4, max(0, mood + draw.pick((-1, 0, 0, 1)))) for _frame in frames]
    weights = [2, *(1 for _frame in frames[1:])]
    mean = sum(d * w for d, w in zip(degrees, weights, strict=True)) / sum(weights)
    rating = min(5.0, max(1.0, 1 + mean + 0.4 * (draw.fraction() - 0.5)))
    order = draw.shuffled(range(len(frames)))
    sentences = [_opinion(frames[i], degrees[i], language, draw) for i in order]
    text = "".join(piece.text for piece in join(sentences, language, draw))
    return {"text": text, "rating": round(rating, 1), "language": language}


def _opinion(frame: Frame, degree: int, language: Language, draw: Draw) -> list[Piece]:
    """Write a sentence about one thing, as good or bad as the degree says."""
    values = {**observe(draw, frame).values, "degree": _DEGREES[degree]}
    return say(Fact(frame, values), language, draw)

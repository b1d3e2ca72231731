"""`embedded:choices`: a message, a question, and two to five answers of which one is right.

The right answer says one thing of the message in other words. Each wrong one is made from the right
one or from another wrong one, by changing one thing; so no answer is the one that all are like.
"""

from __future__ import annotations

from tunesmith.data.embedded.grammar import Draw, Fact, distinct_rows, distort, observe
from tunesmith.data.embedded.pairs import message
from tunesmith.data.embedded.words import Language

__all__ = ["SIZES", "make_choices"]

SIZES = {"train": 1200, "validation": 240, "test": 240}
_SEED = 20_260_106
_QUESTIONS: dict[Language, tuple[str, ...]] = {
    "en": ("What does the message say?", "Which of these is true?", "What has been said?"),
    "zh": ("这段话说了什么？", "下面哪一句是对的？", "原话的意思是哪一个？"),
}


def make_choices() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split; no message occurs twice."""
    draw = Draw(_SEED)

    def make() -> dict[str, object]:
        language: Language = draw.pick(("en", "zh"), (3, 2))
        facts = [observe(draw) for _fact in range(draw.pick((1, 2, 3), (5, 3, 1)))]
        right = draw.pick(facts)
        choices = _choices(right, language, draw)
        answer, places = choices[0], draw.shuffled(choices)
        return {
            "context": message(facts, language, draw),
            "question": draw.pick(_QUESTIONS[language]),
            "choices": places,
            "label": places.index(answer),
            "language": language,
        }

    return distinct_rows(SIZES, make, lambda row: (row["context"],))


def _choices(right: Fact, language: Language, draw: Draw) -> list[str]:
    """Return different sentences, the right one first."""
    count = 2 + draw.below(4)
    facts, texts = [right], [message([right], language, draw)]
    while len(texts) < count:
        fact = distort(draw.pick(facts), draw)
        text = message([fact], language, draw)
        if fact not in facts and text not in texts:
            facts.append(fact)
            texts.append(text)
    return texts

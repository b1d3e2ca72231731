"""`embedded:corpus`: unlabeled texts with the same words, for pretraining.

Most rows are two texts: a message, and a list of what it is about or its repetition by someone who
may have misunderstood it, in one thing or in all. Some count what came of what was ordered; some
tick what is right, per item, per word or per sentence; some answer with one word. To predict a
number, a tick or an answer, a model must compare both texts. This is easiest for the number of one
item and hardest for one word about everything; each helps with the next.
No row has a text of the validation or test rows of another set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from tunesmith.data.embedded.frames import FRAMES
from tunesmith.data.embedded.grammar import (
    Draw,
    Fact,
    Piece,
    confuse,
    distinct_rows,
    distort,
    join,
    name,
    observe,
    say,
)
from tunesmith.data.embedded.pairs import draw_facts, make_pairs, message
from tunesmith.data.embedded.ratings import make_ratings, review
from tunesmith.data.embedded.tickets import make_tickets, ticket
from tunesmith.data.embedded.words import Concept, Language, concepts

__all__ = ["KINDS", "SIZES", "VERDICTS", "make_corpus"]

SIZES = {"train": 120_000, "validation": 1_000}
_SEED = 20_260_106

KINDS: Mapping[str, float] = {
    "items counted": 2.0,
    "items ticked": 2.0,
    "words ticked": 3.0,
    "sentences ticked": 2.0,
    "answered": 2.0,
    "one change answered": 2.0,
    "mail": 1.0,
    "one turn answered": 0.0,
}
"""Kinds of rows and their frequencies; the last kind only if the caller requests it."""
_REPLIES: dict[Language, tuple[str, ...]] = {
    "en": ("Right. ", "Nearly. ", "Partly. ", "Wrong. "),
    "zh": ("对。", "差。", "偏。", "错。"),
}
"""The answer to a repetition that is right, wrong in one thing, in several, or in everything."""
_TURNING = tuple(frame for frame in FRAMES if frame.no is not None or frame.swaps is not None)
"""Statements that can be denied or reversed, which are learned last."""
_TICKS = {True: "✓", False: "✗"}
_SPACE: dict[Language, str] = {"en": " ", "zh": ""}
_COMMA: dict[Language, str] = {"en": ", ", "zh": "，"}
_NUMBERS = "①②③④⑤⑥⑦⑧⑨"
"""How many came; these characters occur in no other place."""
VERDICTS = (
    *_NUMBERS,
    *_TICKS.values(),
    *(word.strip(". 。").lower() for words in _REPLIES.values() for word in words),
)
"""Every word about how two texts agree."""


def make_corpus(
    sizes: Mapping[str, int] | None = None,
    *,
    seed: int = _SEED,
    kinds: Mapping[str, float] = KINDS,
) -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split.

    Args:
        sizes: rows of each split; `SIZES` if not given.
        seed: of the random choices.
        kinds: the frequency of each kind of row, by the names of `KINDS`.
    """
    draw = Draw(seed)
    held_out = _held_out()

    def make() -> dict[str, object]:
        while not held_out.isdisjoint((row := _two_texts(draw, kinds)).plain):
            pass
        return {"text": row.text, "text_pair": row.text_pair}

    return distinct_rows(sizes or SIZES, make, lambda row: (tuple(row.values()),))


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A row.

    Attributes:
        text: of the row.
        text_pair: of the row.
        plain: both without ticks and answers, as another set might have them.
    """

    text: str
    text_pair: str
    plain: tuple[str, ...]


def _two_texts(draw: Draw, kinds: Mapping[str, float]) -> _Exchange:
    language: Language = draw.pick(("en", "zh"), (3, 2))
    kind = draw.pick(list(kinds), list(kinds.values()))
    if kind == "mail":
        texts = str(ticket(draw)["text"]), str(review(draw)["text"])
        return _Exchange(*texts, texts)
    facts = draw_facts(draw)
    if kind == "one turn answered":
        facts = [observe(draw, draw.pick(_TURNING)) for _fact in facts]
    if kind.endswith("answered"):
        odds = (5, 3, 2, 2) if kind == "answered" else (1, 1, 0, 0)
        return _answered(facts, language, draw, draw.pick((0, 1, 2, 3), odds))
    if kind == "items counted":
        return _counted(facts[:2], language, draw)
    if kind == "items ticked":
        return _listed(facts[:2], language, draw)
    return _ticked(facts, language, draw, by_word=kind == "words ticked")


def _answered(facts: list[Fact], language: Language, draw: Draw, degree: int) -> _Exchange:
    """Make a row of an answer with a message, and its repetition.

    The repetition is right (degree 0), or wrong in one thing, in several, or in everything (3).
    """
    repeated = list(facts)
    if degree == 3:
        repeated = [
            confuse(fact, draw) if draw.fraction() < 0.5 else observe(draw) for fact in facts
        ]
    elif degree > 0:
        place = draw.below(len(facts))
        repeated[place] = (distort, confuse)[degree - 1](facts[place], draw)
    word = _REPLIES[language][degree]
    said = message(facts, language, draw), message(repeated, language, draw)
    return _Exchange(word + said[0], said[1], said)


def _counted(facts: list[Fact], language: Language, draw: Draw) -> _Exchange:
    """Make a row of an order and a note of what came: numbers, and a cross after other things."""
    named, others = _things(facts, draw)
    numbers = {concept: 1 + draw.below(len(_NUMBERS)) for concept in named}
    marks = {concept: _NUMBERS[number - 1] for concept, number in numbers.items()}
    order = [
        f"{name(concept, language, draw)}{_SPACE[language]}{number}"
        for concept, number in numbers.items()
    ]
    came = draw.shuffled([*numbers, *others])[:8]
    said = _COMMA[language].join(order)
    return _Exchange(said, _note(came, marks, language, draw), (said,))


def _listed(facts: list[Fact], language: Language, draw: Draw) -> _Exchange:
    """Make a row of a message and a list of things, with a tick after those that it names."""
    named, others = _things(facts, draw)
    marks = dict.fromkeys(named, _TICKS[True])
    listed = draw.shuffled([*named, *others])[:8]
    said = message(facts, language, draw)
    return _Exchange(said, _note(listed, marks, language, draw), (said,))


def _things(facts: list[Fact], draw: Draw) -> tuple[list[Concept], list[Concept]]:
    """Return what facts name, and about as many things of the same kinds that they do not."""
    items = [
        (fact.frame.slots[slot], concept) for fact in facts for slot, concept in fact.values.items()
    ]
    named = [concept for _kind, concept in items]
    others = [draw.pick(concepts(kind)) for kind, _concept in items]
    return named, [other for other in others if other not in named]


def _note(
    listed: list[Concept], marks: Mapping[Concept, str], language: Language, draw: Draw
) -> str:
    """Write things with a mark after each; a cross if it has none."""
    return _COMMA[language].join(
        name(concept, language, draw) + _SPACE[language] + marks.get(concept, _TICKS[False])
        for concept in listed
    )


def _ticked(facts: list[Fact], language: Language, draw: Draw, *, by_word: bool) -> _Exchange:
    """Make a row of a message and its repetition, with a tick or a cross after each sentence.

    Args:
        facts: of the message.
        language: of both.
        draw: random choices.
        by_word: also after each word that names something.
    """
    space = _SPACE[language]
    sentences = []
    for fact in facts:
        repeated = draw.pick((_same, distort, confuse), (5, 4, 3))(fact, draw)
        sentence = []
        for piece in say(repeated, language, draw):
            sentence.append(piece)
            if by_word and piece.concept is not None:
                is_right = fact.values[_slot(repeated, piece)] is piece.concept
                sentence.append(Piece(space + _TICKS[is_right]))
        sentence.append(Piece(space + _TICKS[repeated == fact]))
        sentences.append(sentence)
    read_back = join(sentences, language, draw)
    said = message(facts, language, draw)
    plain = "".join(p.text for p in read_back if p.text.strip() not in _TICKS.values())
    return _Exchange(said, "".join(piece.text for piece in read_back), (said, plain))


def _same(fact: Fact, _draw: Draw) -> Fact:
    """Return the fact unchanged."""
    return fact


def _slot(fact: Fact, piece: Piece) -> str:
    """Return the slot that a piece fills."""
    return next(slot for slot, concept in fact.values.items() if concept is piece.concept)


@cache
def _held_out() -> frozenset[str]:
    """Return every text of validation and test rows of other sets."""
    pairs, others = make_pairs(), (make_tickets(), make_ratings())

    def texts() -> Iterator[object]:
        for split in ("validation", "test"):
            for row in pairs[split]:
                yield from (row["sentence1"], row["sentence2"])
            for rows in others:
                yield from (row["text"] for row in rows[split])

    return frozenset(map(str, texts()))

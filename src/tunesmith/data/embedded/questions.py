"""`embedded:questions`: notes from a kitchen, and questions whose answers are parts of them.

Each note has several questions. One in five has no answer: the note says nearly what it asks about,
with another dish, person or number. One note in twelve is longer than a model reads at once, and
where a note says a thing twice there are two right answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple

from tunesmith.data.embedded.frames import FRAMES
from tunesmith.data.embedded.grammar import Draw, Fact, join, name, observe, say
from tunesmith.data.embedded.words import Concept, Language, concepts

__all__ = ["SIZES", "make_questions"]

SIZES = {"train": 1200, "validation": 240, "test": 240}
_SEED = 20_260_107
_WITHOUT_ANSWER, _LONG, _TWICE, _AS_WRITTEN = 0.2, 0.08, 0.2, 0.7
_PER_NOTE = (2, 3, 4, 5)


class _Question(NamedTuple):
    """A question on a kind of statement.

    Attributes:
        frame: its number in `FRAMES`.
        slot: that the question asks for.
        en: its pattern in English.
        zh: in Chinese.
    """

    frame: int
    slot: str
    en: str
    zh: str

    def pattern(self, language: Language) -> str:
        """The pattern in a language."""
        return self.en if language == "en" else self.zh

    @property
    def mentioned(self) -> tuple[str, ...]:
        """The slots that the question mentions."""
        return tuple(dict.fromkeys(slot for _w, slot, _f, _c in Formatter().parse(self.en) if slot))


_QUESTIONS = tuple(
    _Question(*line)
    for line in (
        (0, "who", "Who wants {dish} {when}?", "谁{when}要{dish}？"),
        (0, "count", "How many portions of {dish} does {who} want?", "{who}要多少份{dish}？"),
        (0, "dish", "What does {who} want {when}?", "{who}{when}要什么？"),
        (0, "when", "When does {who} want {dish}?", "{who}什么时候要{dish}？"),
        (1, "who", "Who booked {place} {when}?", "谁订了{when}的{place}？"),
        (
            1,
            "count",
            "For how many people did {who} book {place}?",
            "{who}订了{place}几个人的座位？",
        ),
        (1, "place", "What has {who} booked {when}?", "{who}{when}订了哪里？"),
        (1, "when", "When is {place} reserved for {who}?", "{who}什么时候用{place}？"),
        (2, "span", "How long does the {dish} cook with the {with:s}?", "{dish}和{with}要煮多久？"),
        (2, "with", "What cooks for {span} with the {dish}?", "和{dish}一起煮{span}的是什么？"),
        (5, "giver", "Who gave {taker} the {thing}?", "谁把{thing}给了{taker}？"),
        (5, "taker", "Who got the {thing} from {giver}?", "谁从{giver}那里拿到了{thing}？"),
        (5, "thing", "What did {giver} give to {taker}?", "{giver}给了{taker}什么？"),
        (6, "master", "Who taught {learner} how to make {dish}?", "谁教{learner}做{dish}？"),
        (6, "learner", "Who learned from {master} to cook {dish}?", "谁跟{master}学会了做{dish}？"),
        (6, "dish", "What did {learner} learn from {master}?", "{learner}跟{master}学会了做什么？"),
        (7, "price", "How much is the {dish}?", "{dish}多少钱？"),
        (7, "dish", "What do we sell at {price}?", "什么卖{price}？"),
        (8, "span", "How late was {who} {when}?", "{who}{when}迟到了多久？"),
        (8, "who", "Who was {span} late {when}?", "谁{when}迟到了{span}？"),
        (9, "quality", "How did {who} find the {dish}?", "{who}觉得{dish}怎么样？"),
        (9, "who", "Who found the {dish} {quality}?", "谁觉得{dish}{quality}？"),
        (10, "new", "What is put into the {dish} instead of {old:s}?", "{dish}里用什么代替{old}？"),
        (10, "old", "What does {new:s} replace in the {dish}?", "{dish}里的什么换成了{new}？"),
        (12, "better", "What does {who} prefer to {worse}?", "比起{worse}，{who}更喜欢什么？"),
        (12, "who", "Who likes {better} more than {worse}?", "谁喜欢{better}胜过{worse}？"),
        (13, "weight", "How much of the {what:s} is left?", "{what}还剩多少？"),
        (14, "degrees", "At how many degrees does the {dish} bake?", "{dish}用多少度烤？"),
        (
            14,
            "span",
            "How long does the {dish} bake at {degrees}?",
            "{dish}在{degrees}下要烤多久？",
        ),
    )
)
_FRAMES = tuple(dict.fromkeys(question.frame for question in _QUESTIONS))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a note that names a concept.

    Attributes:
        fact: the number of the statement in which it is.
        concept: that is named.
        text: its name there.
        start: its first character.
    """

    fact: int
    concept: Concept
    text: str
    start: int


def make_questions() -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split; the rows of a note are in one split, one after the other."""
    draw = Draw(_SEED)
    seen: set[str] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, size in SIZES.items():
        rows: list[dict[str, object]] = []
        while len(rows) < size:
            language: Language = draw.pick(("en", "zh"), (3, 2))
            context, drawn = _note(language, draw)
            if context not in seen:
                seen.add(context)
                rows += [{"context": context, **row, "language": language} for row in drawn]
        splits[split] = [
            {"id": f"{split}-{number}", **row} for number, row in enumerate(rows[:size])
        ]
    return splits


def _note(language: Language, draw: Draw) -> tuple[str, list[dict[str, object]]]:
    """Return a note, and for each question on it the question and its answers."""
    is_long = draw.fraction() < _LONG
    count = 60 + draw.below(30) if is_long else 3 + draw.below(4)
    facts = [observe(draw, FRAMES[draw.pick(_FRAMES)]) for _fact in range(count)]
    if draw.fraction() < _TWICE:
        facts.insert(draw.below(count), draw.pick(facts))
    context, parts = _written(facts, language, draw)
    rows: list[dict[str, object]] = []
    for _question in range(draw.pick(_PER_NOTE)):
        drawn = None
        while drawn is None:
            drawn = _ask(facts, draw)
        question, values, matching = drawn
        text = _say(question, values, {part.concept: part.text for part in parts}, language, draw)
        if any(row["question"] == text for row in rows):
            continue
        expected = {(i, facts[i].values[question.slot]) for i in matching}
        answers = [
            {"text": part.text, "answer_start": part.start}
            for part in parts
            if (part.fact, part.concept) in expected
        ]
        rows.append({"question": text, "answers": answers})
    return context, rows


def _written(facts: Sequence[Fact], language: Language, draw: Draw) -> tuple[str, list[_Part]]:
    """Return a note that states facts, and where it names which concept."""
    sentences = [say(fact, language, draw) for fact in facts]
    owners = [i for i, pieces in enumerate(sentences) for piece in pieces if piece.concept]
    text = ""
    parts: list[_Part] = []
    for piece in join(sentences, language, draw):
        if piece.concept is not None:
            parts.append(_Part(owners[len(parts)], piece.concept, piece.text, len(text)))
        text += piece.text
    return text, parts


def _ask(
    facts: Sequence[Fact], draw: Draw
) -> tuple[_Question, dict[str, Concept], list[int]] | None:
    """Return a question, what it mentions, and the facts that answer it; None if these differ."""
    fact = draw.pick(facts)
    question = draw.pick([one for one in _QUESTIONS if FRAMES[one.frame] is fact.frame])
    values = {slot: fact.values[slot] for slot in question.mentioned}
    if draw.fraction() < _WITHOUT_ANSWER:
        slot = draw.pick(question.mentioned)
        values[slot] = draw.pick(concepts(fact.frame.slots[slot]))
        return None if _matching(facts, fact, values) else (question, values, [])
    matching = _matching(facts, fact, values)
    answers = {facts[i].values[question.slot].name for i in matching}
    return (question, values, matching) if len(answers) == 1 else None


def _matching(facts: Sequence[Fact], like: Fact, values: dict[str, Concept]) -> list[int]:
    """Return the facts of a kind with some values."""
    return [
        i
        for i, fact in enumerate(facts)
        if fact.frame is like.frame and all(fact.values[slot] is values[slot] for slot in values)
    ]


def _say(
    question: _Question,
    values: Mapping[str, Concept],
    written: Mapping[Concept, str],
    language: Language,
    draw: Draw,
) -> str:
    """Write a question; most names are those of the note, the others may be synonyms."""
    text = ""
    for words, slot, form, _rest in Formatter().parse(question.pattern(language)):
        text += words
        if slot:
            text += _name(values[slot], written, language, draw, other_form=form == "s")
    return text


def _name(
    concept: Concept,
    written: Mapping[Concept, str],
    language: Language,
    draw: Draw,
    *,
    other_form: bool,
) -> str:
    forms = zip(
        concept.ways(language), concept.ways(language, other_form=True),
        concept.ways(language, other_form=other_form), strict=True,
    )  # fmt: skip
    text = written.get(concept, "").lower()
    same = [form for one, other, form in forms if text in (one.lower(), other.lower())]
    if same and draw.fraction() < _AS_WRITTEN:
        return same[0]
    return name(concept, language, draw, other_form=other_form)

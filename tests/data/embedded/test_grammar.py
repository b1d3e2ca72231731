from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.embedded.frames import FRAMES
from tunesmith.data.embedded.grammar import Draw, Fact, confuse, distort, join, name, observe, say
from tunesmith.data.embedded.words import LANGUAGES, Language, concepts

seeds = st.integers(0, 10_000)


def meaning(fact: Fact) -> tuple[object, ...]:
    values = tuple(sorted((slot, concept.name) for slot, concept in fact.values.items()))
    return FRAMES.index(fact.frame), values, fact.is_true


@given(seeds)
def test_a_distorted_fact_means_something_else(seed: int) -> None:
    draw = Draw(seed)
    fact = observe(draw)
    other = distort(fact, draw)
    assert meaning(other) != meaning(fact)
    same = [slot for slot in fact.values if fact.values[slot] is other.values[slot]]
    assert len(same) >= len(fact.values) - 2


def test_facts_are_distorted_in_every_way() -> None:
    draw = Draw(1)
    ways: Counter[str] = Counter()
    for _time in range(300):
        fact = observe(draw)
        other = distort(fact, draw)
        changed = sum(fact.values[slot] is not other.values[slot] for slot in fact.values)
        ways["denied" if fact.is_true != other.is_true else f"{changed} slots"] += 1
    assert set(ways) == {"denied", "1 slots", "2 slots"}
    assert min(ways.values()) > 20


@given(seeds)
def test_a_confused_fact_differs_in_several_slots(seed: int) -> None:
    draw = Draw(seed)
    fact = observe(draw)
    other = confuse(fact, draw)
    changed = sum(fact.values[slot] is not other.values[slot] for slot in fact.values)
    assert other.frame is fact.frame
    assert 2 <= changed <= len(fact.values)
    assert len(set(map(id, other.values.values()))) == len(other.values)


def test_the_first_word_for_a_concept_is_the_usual_one() -> None:
    draw = Draw(2)
    concept = next(c for c in concepts("ingredient") if len(c.en) == 2)
    said = Counter(name(concept, "en", draw) for _time in range(400))
    usual, other = (forms[0] for forms in concept.en)
    assert 2 < said[usual] / said[other] < 4.5


@given(seeds, st.sampled_from(LANGUAGES))
def test_sentences_are_well_formed(seed: int, language: Language) -> None:
    draw = Draw(seed)
    pieces = join([say(observe(draw), language, draw) for _f in range(3)], language, draw)
    text = "".join(piece.text for piece in pieces)
    assert "{" not in text and "  " not in text
    assert text.endswith("." if language == "en" else "。")
    if language == "en":
        assert text[0] == text[0].upper()


def test_chance_is_the_same_on_every_machine() -> None:
    draw = Draw(3)
    drawn = (
        [draw.below(1000) for _n in range(3)],
        draw.shuffled(range(6)),
        draw.pick("abc", (1, 2, 9)),
    )
    assert drawn == ([237, 544, 369], [2, 1, 4, 0, 5, 3], "c")

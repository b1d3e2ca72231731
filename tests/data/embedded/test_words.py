from __future__ import annotations

import re

import pytest

from tunesmith.data.embedded.words import LANGUAGES, concepts, opposite

KINDS = (
    "person place thing time span count price weight degrees deed quality ingredient dish"
).split()


@pytest.mark.parametrize("kind", KINDS)
def test_every_concept_can_be_said_in_both_languages(kind: str) -> None:
    result = concepts(kind)
    assert len(result) >= 7
    assert len({concept.name for concept in result}) == len(result)
    for concept in result:
        assert concept.kind == kind
        for language in LANGUAGES:
            assert all(way == way.strip() and way for way in concept.ways(language))
        assert not re.search(r"[\u4e00-\u9fff]", " ".join(concept.ways("en")))
        assert re.search(r"[\u4e00-\u9fff]", "".join(concept.ways("zh")))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dish"])
def test_no_two_concepts_share_a_word(kind: str) -> None:
    for language in LANGUAGES:
        ways = [way for concept in concepts(kind) for way in concept.ways(language)]
        assert len(ways) == len(set(ways))


def test_words_have_a_second_form() -> None:
    potato = concepts("ingredient")[0]
    assert potato.ways("en") == ("potato", "spud")
    assert potato.ways("en", other_form=True) == ("potatoes", "spuds")


def test_qualities_are_in_pairs() -> None:
    for quality in concepts("quality"):
        other = opposite(quality)
        assert opposite(other) is quality
        assert f"not {other.name}" in quality.ways("en")


def test_dishes_are_made_of_their_parts() -> None:
    stew = next(dish for dish in concepts("dish") if dish.name == "potato stew")
    assert "spud ragout" in stew.ways("en")
    assert "马铃薯煲" in stew.ways("zh")

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import Place, Severity
from tunesmith.inputs import misspellings
from tunesmith.inputs.misspellings import likely_misspellings, misspelling_problems

PLACE = Place("a.csv")


def is_told(rare: str, likely: str, *, rows: int = 3, likely_rows: int = 100) -> bool:
    pairs = likely_misspellings({rare: rows, likely: likely_rows, "other": 50})
    assert pairs in ({}, {rare: likely})
    return bool(pairs)


@pytest.mark.parametrize(
    ("rare", "likely"),
    [
        ("postive", "positive"), ("possitive", "positive"), ("pozitive", "positive"),
        ("psoitive", "positive"), ("ositive", "positive"), ("postve", "positive"),
        ("Nuetral", "neutral"), ("shiping issue", "shipping issue"), ("creditcard", "credit-card"),
        ("credit_card", "credit card"), ("refunds", "refund"), ("技术术支持", "技术支持"),
        ("术技支持", "技术支持"), ("delivary12", "delivery12"),
    ],
)  # fmt: skip
def test_slips_of_the_pen(rare: str, likely: str) -> None:
    assert is_told(rare, likely)


@pytest.mark.parametrize(
    ("rare", "likely"),
    [
        ("pos1", "pos2"), ("C1", "C2"), ("version1", "version2"), ("level 10", "level 1"),
        ("urgent", "not urgent"), ("not urgent", "urgent"), ("male", "female"), ("good", "food"),
        ("employee", "employer"), ("zambia", "gambia"), ("class_a", "class_b"),
        ("typicals", "atypicals"), ("inactive", "active"), ("unhappy", "happy"),
        ("产品好评", "产品差评"), ("非常不满意", "非常满意"), ("退货", "退款"), ("退退款", "退款"),
        ("import", "export"), ("POSITIVE", "positive"), ("1.0", "1"), ("++", "--"),
        ("red apple", "blue apple pie"), ("delivery latte", "delivary late"),
    ],
)  # fmt: skip
def test_words_of_their_own(rare: str, likely: str) -> None:
    assert not is_told(rare, likely)


def test_how_rare_a_misspelling_is() -> None:
    assert is_told("postive", "positive", rows=20)
    assert not is_told("postive", "positive", rows=21)
    # two letters amiss: very rare, and against very many
    assert is_told("postve", "positive", rows=5)
    assert not is_told("postve", "positive", rows=6, likely_rows=1000)
    assert not is_told("postve", "positive", rows=5, likely_rows=99)
    assert not is_told("ostve", "positive")
    assert not is_told("osstive", "positive")


def test_the_most_frequent_of_several_is_meant() -> None:
    counts = {"refunt": 1, "refund": 50, "refunst": 60, "postive": 2, "positive": 10}
    assert likely_misspellings(counts) == {"refunt": "refunst", "postive": "positive"}


def test_the_warning_names_both() -> None:
    counts = {"positive": 287, "postive": 7, "negative": 250}
    (problem,) = misspelling_problems(counts, "label", PLACE)
    assert (problem.code, problem.severity, problem.count) == ("D220", Severity.WARNING, 7)
    assert problem.message == (
        'misspelled classes in "label"? "postive" (7) looks like "positive" (287)'
    )
    assert problem.evidence == ()
    assert not list(misspelling_problems({"positive": 287, "negative": 7}, "label", PLACE))


def test_many_are_counted() -> None:
    slips = {"positive"[:i] + "x" + "positive"[i:]: 1 for i in range(1, 8)}
    (problem,) = misspelling_problems({"positive": 500, **slips}, "label", PLACE)
    assert len(problem.evidence) == 5
    assert problem.evidence[-1] == "and 2 more"
    assert problem.count == 7


def test_thousands_of_classes_are_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    words = {"".join(draw.choices("abcdefghij", k=12)): 50 for _i in range(3_000)}
    meant = sorted(words)[:3]
    slips = {word[:5] + word[6:]: 1 for word in meant}
    compared = []
    exact = misspellings._is_misspelling

    def spy(rare: str, likely: str, counts: dict[str, int]) -> bool:
        compared.append(rare)
        return exact(rare, likely, counts)

    monkeypatch.setattr(misspellings, "_is_misspelling", spy)
    monkeypatch.setattr(misspellings, "_MOST_LIKELY", 4_000)
    assert set(likely_misspellings({**words, **slips}).values()) == set(meant)
    assert len(compared) < 4_000


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distances_are_those_of_edits(one: str, other: str) -> None:
    distance = misspellings._distance(one, other)
    assert distance == misspellings._distance(other, one)
    assert (distance == 0) is (one == other)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))
    assert misspellings._distance(one + "xy", one + "yx") == 1
    assert misspellings._distance("c" + one, one) == 1

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import Place, Severity
from tunesmith.inputs import label_misspellings
from tunesmith.inputs.label_misspellings import likely_misspellings, misspelling_problems

PLACE = Place("a.csv")


def is_reported(rare: str, likely: str, *, rows: int = 3, likely_rows: int = 100) -> bool:
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
        ("reund", "refund"), ("ab-cd", "ab cd"), ("x" * 63, "x" * 64),
    ],
)  # fmt: skip
def test_slips_of_the_pen(rare: str, likely: str) -> None:
    assert is_reported(rare, likely)


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
        ("refd", "refud"), ("a-cd", "a cd"), ("x" * 64, "x" * 65), ("款退货", "退款货"),
        ("技技术术支持", "技术支持"), ("abcdx\u2e80", "abcd\u2e80"), ("pstve", "positve"),
        ("refund a bil", "refund the bill"),
    ],
)  # fmt: skip
def test_words_of_their_own(rare: str, likely: str) -> None:
    assert not is_reported(rare, likely)


def test_how_rare_a_misspelling_is() -> None:
    assert is_reported("postive", "positive", rows=20)
    assert not is_reported("postive", "positive", rows=21)
    # two letters amiss: very rare, and against very many
    assert is_reported("postve", "positive", rows=5)
    assert not is_reported("postve", "positive", rows=6, likely_rows=1000)
    assert not is_reported("postve", "positive", rows=5, likely_rows=99)
    assert not is_reported("ostve", "positive")
    assert not is_reported("osstive", "positive")


def test_a_class_without_rows_is_no_misspelling() -> None:
    assert likely_misspellings({"postive": 0, "positive": 100}) == {}


def test_how_frequent_the_class_that_is_meant_is() -> None:
    assert likely_misspellings({"postive": 1, "positive": 5}) == {"postive": "positive"}
    assert likely_misspellings({"postive": 1, "positive": 4}) == {}


@pytest.mark.parametrize(
    ("limit", "enough", "rare"),
    [
        ("_MOST_WITH_TWO_EDITS", 2, "postve"),
        ("_MOST_LIKELY", 2, "positve"),
        ("_MOST_RARE", 1, "positve"),
    ],
)
def test_how_much_is_compared(
    limit: str, enough: int, rare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"another": 200, "positive": 100, rare: 3}
    for most, result in ((enough, {rare: "positive"}), (enough - 1, {})):
        monkeypatch.setattr(label_misspellings, limit, most)
        assert likely_misspellings(counts) == result


def test_names_that_lack_the_same_letter_share_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_misspellings, "_MOST_IN_BUCKET", 1)
    counts = {"refunda": 100, "refundb": 90, "refund": 1}
    assert likely_misspellings(counts) == {"refund": "refunda"}
    monkeypatch.setattr(label_misspellings, "_MOST_WITH_TWO_EDITS", 1)
    del counts["refunda"]
    assert likely_misspellings(counts) == {"refund": "refundb"}


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
    five = dict(list(slips.items())[:5])
    (problem,) = misspelling_problems({"positive": 500, **five}, "label", PLACE)
    assert problem.evidence == tuple(
        f'"{slip}" (1) looks like "positive" (500)' for slip in sorted(five)[1:]
    )


def test_thousands_of_classes_are_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    words = {"".join(draw.choices("abcdefghij", k=12)): 50 for _i in range(3_000)}
    meant = sorted(words)[:3]
    slips = {word[:5] + word[6:]: 1 for word in meant}
    compared = []
    exact = label_misspellings._is_misspelling

    def spy(rare: str, likely: str, counts: dict[str, int]) -> bool:
        compared.append(rare)
        return exact(rare, likely, counts)

    monkeypatch.setattr(label_misspellings, "_is_misspelling", spy)
    monkeypatch.setattr(label_misspellings, "_MOST_LIKELY", 4_000)
    assert set(likely_misspellings({**words, **slips}).values()) == set(meant)
    assert len(compared) < 4_000


@cache
def alignment(one: str, other: str) -> int:
    """Optimal string alignment by its recursive definition."""
    if not one or not other:
        return len(one) + len(other)
    edits = [
        alignment(one[:-1], other) + 1,
        alignment(one, other[:-1]) + 1,
        alignment(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if one[-2:] == other[-2:][::-1] and len(one) > 1:
        edits.append(alignment(one[:-2], other[:-2]) + 1)
    return min(edits)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distances_are_those_of_edits(one: str, other: str) -> None:
    distance = label_misspellings._distance(one, other)
    assert distance == alignment(one, other)
    assert distance == label_misspellings._distance(other, one)
    assert (distance == 0) is (one == other)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))
    assert label_misspellings._distance(one + "xy", one + "yx") == 1
    assert label_misspellings._distance("c" + one, one) == 1

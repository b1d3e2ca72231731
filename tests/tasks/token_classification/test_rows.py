"""Rows of tokens and of marked texts, and what is wrong with some."""

from __future__ import annotations

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.metrics.entities import Entity
from tunesmith.tasks.token_classification.rows import (
    joined,
    read_row,
    validate_tokens,
    with_tag_names,
    without_overlaps,
    words_of,
)

TOKENS, SPANS = Roles("tokens", None, "tags"), Roles("text", None, "entities")


def tokens(words: object, tags: object = None) -> Row:
    return Row(0, {"tokens": words, "tags": tags})


def marked(text: object, *entities: object) -> Row:
    return Row(0, {"text": text, "entities": list(entities)})


def span(start: object, end: object, label: object = "A") -> dict[str, object]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["Ann", "runs", "."], "Ann runs ."),
        (["他", "在", "New", "York", "，", "看", "书"], "他在New York，看书"),
        (["一", "9", "9", "8", "年"], "一998年"),
        (["a", "b"], "a b"),
        (["a", "", "b"], "a b"),
        (["😀", "😀"], "😀 😀"),
    ],
)
def test_tokens_are_joined_as_they_are_written(words: list[str], text: str) -> None:
    whole, spans = joined(words)
    assert whole == text
    assert [whole[start:end] for start, end in spans] == words


def test_entities_of_tokens_are_in_characters() -> None:
    row = read_row(tokens(["Ann", "Lee", "in", "Rome"], ["I-P", "I-P", "O", "U-L"]), TOKENS)
    assert row.text == "Ann Lee in Rome" and row.has_tokens
    assert row.entities == (Entity(0, 7, "P"), Entity(11, 15, "L"))
    plain = read_row(tokens(["Ann", "runs"], ["N", "V"]), TOKENS, are_plain=True)
    assert plain.entities == (Entity(0, 3, "N"), Entity(4, 8, "V"))
    assert read_row(tokens(["Ann"]), TOKENS).entities == ()


def test_entities_of_texts_are_in_order() -> None:
    row = read_row(marked("Ann in 北京 😀", span(7, 9, "L"), span(0, 3, "P")), SPANS)
    assert row.entities == (Entity(0, 3, "P"), Entity(7, 9, "L")) and not row.has_tokens
    assert [row.text[start:end] for start, end in row.words] == ["Ann", "in", "北", "京", "😀"]
    assert words_of("") == []


def test_of_overlapping_entities_the_longest_stay() -> None:
    entities = [Entity(0, 3, "A"), Entity(2, 9, "B"), Entity(9, 12, "C"), Entity(9, 12, "D")]
    assert without_overlaps(entities) == (Entity(2, 9, "B"), Entity(9, 12, "C"))


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (tokens([], []), "D310", "empty"),
        (tokens(["a", None], ["O", "O"]), "D362", "token 2 is None"),
        (tokens(["a"], "O"), "D363", "not a list"),
        (tokens(["a", "b"], ["O"]), "D341", "2 tokens with 1 tags"),
        (tokens(["a"], [3]), "D345", "numbers without names"),
        (tokens(["a"], [3.0]), "D345", "numbers without names"),
        (tokens(["a"], ["3"]), "D345", "numbers without names"),
        (tokens(["a"], [["O"]]), "D345", "tag 1 is ['O'], not text"),
        (tokens([["a", "b"]], [["O", "O"]]), "D362", "token 1 is ['a', 'b'], not text"),
        (tokens(["a", "\u200b"], ["O", "B-A"]), "D362", 'token 2 is empty and has the tag "B-A"'),
        (tokens(["a"], [None]), "D345", "tag 1 is None"),
        (tokens(["a"], ["X-PER"]), "D345", '"X-PER" is no tag'),
        (tokens(["a"], ["B-"]), "D345", '"B-" is no tag'),
        (tokens(None, ["O"]), "D310", "empty"),
    ],
)
def test_bad_tokens(row: Row, code: str, words: str) -> None:
    finding = validate_tokens(row, TOKENS, keeps_longest=False)
    assert finding is not None
    assert finding.code == code and words in finding.message and finding.fix


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (marked(""), "D310", "empty"),
        (marked("abc", span(0, 4)), "D344", "0 to 4 are not in the text, which has 3"),
        (marked("abc", span(2, 2)), "D344", "2 to 2"),
        (marked("abc", span(-1, 2)), "D344", "-1"),
        (marked("a  c", span(1, 3)), "D344", "1 to 3 are only spaces"),
        (marked("abc", span("0", 2)), "D363", "not an entity"),
        (marked("abc", span(0, 2, "")), "D363", "not an entity"),
        (marked("abc", [0, 2, "A"]), "D363", "not an entity"),
        (Row(0, {"text": "abc", "entities": "A"}), "D363", "not a list"),
        (marked("abcdef", span(0, 4), span(3, 5)), "D343", 'overlap, such as "de" (A)'),
    ],
)
def test_bad_entities(row: Row, code: str, words: str) -> None:
    finding = validate_tokens(row, SPANS, keeps_longest=False)
    assert finding is not None
    assert finding.code == code and words in finding.message and finding.fix


@pytest.mark.parametrize(
    "row",
    [
        marked("abcdef", span(0, 4), span(3, 5)),
        marked("abc", span(0, 3), span(0, 3)),
        marked("abc"),
        Row(0, {"text": "abc"}),
    ],
)
def test_good_entities(row: Row) -> None:
    assert validate_tokens(row, SPANS, keeps_longest=True) is None


def test_good_tokens() -> None:
    for row in (tokens(["a", "\u200b"], ["B", "O"]), tokens(["a"], ["NN-x"]), tokens(["a"])):
        assert validate_tokens(row, TOKENS, keeps_longest=False) is None


@pytest.mark.parametrize("tag", [-100, -1, 3, float("nan")])
def test_numbers_without_a_name_are_refused(tag: float) -> None:
    names = ("O", "B-A", "I-A")
    row = tokens(["a", "b", "c", "d"], [1, "2", 0.0, tag])
    named = with_tag_names(row, TOKENS, names)
    assert named.values["tags"] == ["B-A", "I-A", "O", tag]
    finding = validate_tokens(named, TOKENS, keeps_longest=False, num_names=3)
    assert finding is not None and finding.code == "D345"
    assert f"tag 4 is {tag}; the names are numbered 0 to 2" in finding.message


def test_lists_have_no_name() -> None:
    row = with_tag_names(tokens([["a"]], [["O"]]), TOKENS, ("O", "B-A"))
    assert row.values["tags"] == [["O"]]


def test_part_of_an_entity_may_be_empty() -> None:
    row = tokens(["New", "", "York"], ["B-A", "I-A", "I-A"])
    assert validate_tokens(row, TOKENS, keeps_longest=False) is None

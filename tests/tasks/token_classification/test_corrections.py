"""Entities in a cell of a table of corrections: there and back, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import RecipeError
from tunesmith.metrics.entities import Entity
from tunesmith.tasks.token_classification.corrections import (
    as_cell,
    corrected_label,
    types_of_cell,
)

TEXT = "Ann met Ann Lee in Paris, Paris (Texas)."
TEXTS, TOKENS = Roles("text", None, "entities"), Roles("tokens", None, "tags")


def in_text(cell: str, text: str = TEXT) -> list[Any]:
    return corrected_label(Row(0, {"text": text}), TEXTS, (), cell)


def in_tokens(cell: str, words: str, own: str) -> list[Any]:
    return corrected_label(Row(0, {"tokens": words.split()}), TOKENS, own.split(), cell)


@pytest.mark.parametrize(
    ("entities", "cell"),
    [
        ([(8, 15, "PER"), (19, 24, "LOC")], "Ann Lee (PER), Paris (LOC)"),
        ([(8, 11, "PER")], "Ann@8 (PER)"),
        ([(0, 3, "PER"), (8, 11, "PER")], "Ann (PER), Ann (PER)"),
        ([(19, 24, "A B"), (26, 39, "LOC")], "Paris (A B), Paris (Texas) (LOC)"),
        ([(15, 18, "x")], " in (x)"),
        ([], "none"),
    ],
)
def test_a_cell_names_entities_by_their_text(entities: list[Any], cell: str) -> None:
    assert as_cell(TEXT, [Entity(*each) for each in entities]) == cell
    assert [(one["start"], one["end"], one["label"]) for one in in_text(cell)] == entities
    assert types_of_cell(cell) == tuple(dict.fromkeys(label for _s, _e, label in entities))


def comes_back(text: str, places: list[tuple[int, int]]) -> bool:
    cell = as_cell(text, [Entity(start, end, "T") for start, end in places])
    return [(one["start"], one["end"]) for one in in_text(cell, text)] == places


@given(st.text("ab ,@(1)\\", min_size=1, max_size=12), st.data())
def test_every_list_of_entities_comes_back(text: str, data: st.DataObject) -> None:
    if not text.strip():
        return
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    assert comes_back(text, [*zip(cuts[::2], cuts[1::2], strict=False)])


@pytest.mark.parametrize(
    "text", ["11111111@1", "a (1), b", r"a \(1), b", "a (1),", "a@1 (T), b", "\\"]
)
def test_texts_that_look_like_the_format_come_back(text: str) -> None:
    assert comes_back(text, [(0, len(text))])


def test_tags_keep_the_kind_of_the_row() -> None:
    words = "Ann Lee in Paris"
    assert in_tokens("Ann Lee (PER)", words, "O O O B-LOC") == ["B-PER", "I-PER", "O", "O"]
    assert in_tokens("Paris (LOC)", words, "O O O O") == ["O", "O", "O", "B-LOC"]
    assert in_tokens("Ann Lee (PER)", words, "PER O O LOC") == ["PER", "PER", "O", "O"]
    assert in_tokens("none", words, "B-PER O O O") == ["O"] * 4
    assert in_tokens("a (N), b (V)", "a b", "V V") == ["N", "V"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("London (LOC)", '"London" is not in the text'),
        ("Paris (LOC), Ann (PER)", '"Ann" is not in the text, after the entities before it'),
        ("Paris@3 (LOC)", '"Paris@3" is not in the text'),
        ("Ann Lee (PER), Lee@12 (PER)", '"Lee" overlaps another entity'),
        ("PER", '"PER" names no entity'),
        ("Ann (PER), Lee", '"Lee" names no entity'),
    ],
)
def test_what_does_not_fit_the_text(cell: str, message: str) -> None:
    with pytest.raises(RecipeError, match="R211") as caught:
        in_text(cell)
    assert message in caught.value.problems[0].message


def test_what_does_not_fit_the_words() -> None:
    with pytest.raises(RecipeError, match='R211: "Lee in P" cuts a word'):
        in_tokens("Lee in P (PER)", "Ann Lee in Paris", "O O O O")
    with pytest.raises(RecipeError, match='R211: "b" has no class'):
        in_tokens("a (N)", "a b", "V V")
    with pytest.raises(RecipeError, match="R211: token 2 is 5, not text"):
        corrected_label(Row(0, {"tokens": ["a", 5]}), TOKENS, ("V", "V"), "a (N)")

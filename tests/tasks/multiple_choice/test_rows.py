"""Questions as token ids, and what is wrong with their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.conftest import make_tiny_bert
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.data.shapes.choice_labels import UnknownKey
from tunesmith.tasks.multiple_choice.rows import (
    Question,
    encode_questions,
    place_of,
    read_question,
    validate_question,
)

ROLES = Roles("question", "choices", "label", "context")


def row(**values: object) -> Row:
    return Row(0, {"question": "Who?", "choices": ["Ann", "Bo"], "label": 0, **values})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("choices") / "bert"
    make_tiny_bert(folder, layers=1)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("values", "code", "part"),
    [
        ({"question": " "}, "D310", "empty"),
        ({"choices": "Ann, Bo"}, "D368", "not a list of choices: Ann, Bo"),
        ({"choices": None}, "D368", "not a list"),
        ({"choices": ["Ann", None]}, "D368", "choice B is None"),
        ({"choices": ["Ann", " "]}, "D368", "choice B"),
        ({"choices": ["Ann", "Bo", " Ann"]}, "D357", 'choices A and C are both "Ann"'),
        ({"choices": ["Ann"]}, "D357", "1 choice"),
        ({"choices": []}, "D357", "0 choices"),
        ({"choices": list("abcd")}, "D369", "4 choices; this model answers up to 3"),
        ({"label": 2}, "D356", 'the label is "2"; the choices are "0", "1"'),
        ({"label": UnknownKey.of("E", ["A", "B"])}, "D356", 'is "E"; the choices are "A", "B"'),
    ],
)
def test_what_is_wrong(values: dict[str, object], code: str, part: str) -> None:
    finding = validate_question(row(**values), ROLES, 3)
    assert finding is not None
    assert finding.code == code and part in finding.message


@pytest.mark.parametrize("label", [0, 1, -1, None])
def test_what_is_right(label: object) -> None:
    assert validate_question(row(label=label), ROLES, 0) is None
    expected = label if label in (0, 1) and label is not None else None
    assert place_of(row(label=label), ROLES) == expected


def test_the_question_is_between_context_and_choice() -> None:
    question = read_question(row(context="A text."), ROLES)
    assert question.pairs == [("A text.", "Who? Ann"), ("A text.", "Who? Bo")]
    for context in (None, " "):
        pairs = read_question(row(context=context), ROLES).pairs
        assert pairs == [("Who?", "Ann"), ("Who?", "Bo")]


def test_pairs_are_those_of_the_tokenizer(tokenizer: Any) -> None:
    questions = [Question("a b", "", ["c", "d e"]), Question("a", "b", ["c", "d", "e f"])]
    inputs, parts, full = encode_questions(questions, tokenizer, 64)
    firsts, seconds = zip(*(pair for one in questions for pair in one.pairs), strict=True)
    expected = tokenizer(list(firsts), list(seconds))
    for name in ("input_ids", "token_type_ids"):
        assert [ids.tolist() for ids in inputs[name].split()] == expected[name]
    assert parts.tolist() == [2, 3]
    lengths = list(map(len, expected["input_ids"]))
    assert full.tolist() == [sum(lengths[:2]), sum(lengths[2:])]


def test_the_context_is_cut_then_the_question_never_the_choice(tokenizer: Any) -> None:
    def cut(first: str, second: str, choice: str, length: int) -> str:
        question = Question(first, second, [choice])
        inputs, _parts, full = encode_questions([question], tokenizer, length)
        (ids,) = inputs["input_ids"].split()
        assert len(ids) <= length < full[0]
        return str(tokenizer.decode(ids).replace(" ", ""))

    assert cut("ab ab ab", "cd", "ef", 10) == "[CLS]aba[SEP]cdef[SEP]"
    assert cut("ab ab", "cd", "ef", 6) == "[CLS][SEP]def[SEP]"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, Prepared, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.masked_lm.chunking import encode_windows

ALONE, PAIR = Roles("text", None), Roles("text", "pair")


@pytest.fixture
def tokenizer(tiny_bert: Path) -> Any:
    return load_tokenizer(locate(str(tiny_bert)))


def encoded(texts: list[str], tokenizer: Any, limit: int, roles: Roles = ALONE) -> Encoded:
    rows = [Row(i, {"text": text, "pair": text}) for i, text in enumerate(texts)]
    return encode_windows(rows, roles, tokenizer, limit)


def column(held: Prepared, name: str) -> list[list[int]]:
    return [held.sequence(name, example).tolist() for example in range(len(held))]


@given(
    texts=st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join),
        min_size=1,
        max_size=5,
    ),
    limit=st.integers(4, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_no_word_is_lost_and_none_comes_twice(texts: list[str], limit: int, tokenizer: Any) -> None:
    result = encoded(texts, tokenizer, limit)
    held = hold_in_memory(result)
    assert held.num_cut == 0
    marks = set(tokenizer.all_special_ids)
    for row, text in enumerate(texts):
        mine = [
            ids for ids, r in zip(column(held, "input_ids"), result.rows, strict=True) if r == row
        ]
        assert max(map(len, mine)) <= limit
        retained = [token for ids in mine for token in ids if token not in marks]
        assert retained == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_marks_belong_to_no_word(tokenizer: Any) -> None:
    held = hold_in_memory(encoded(["the soup is cold"], tokenizer, 64))
    assert column(held, "words") == [[0, 1, 2, 3, 4, 0]]


def test_pairs_are_read_jointly(tokenizer: Any) -> None:
    held = hold_in_memory(encoded(["the soup is cold"], tokenizer, 64, PAIR))
    assert column(held, "token_type_ids") == [[0] * 6 + [1] * 5]
    assert column(held, "words") == [[0, 1, 2, 3, 4, 0, 5, 6, 7, 8, 0]]


def test_what_does_not_fit_of_a_pair_is_counted(tokenizer: Any) -> None:
    texts = ["the printer is broken", "the table " * 30]
    held = hold_in_memory(encoded(texts, tokenizer, 16, PAIR))
    assert held.num_cut == 1 and len(held) == 2


def test_a_text_without_a_word_gives_nothing(tokenizer: Any) -> None:
    assert encoded(["", "rice"], tokenizer, 16).rows.tolist() == [1]

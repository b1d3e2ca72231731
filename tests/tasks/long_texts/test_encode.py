"""Long texts as token ids, compared with what the tokenizer itself makes of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.long_texts.encode import EncodedTexts, encode_long_texts
from tunesmith.tasks.long_texts.options import LongTexts

PAIR = Roles("a", "b")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)


@cache
def tokenizer_in(folder: Path) -> Any:
    return load_tokenizer(locate(str(folder)))


def encoded(folder: Path, limit: int, long: LongTexts, *texts: str) -> EncodedTexts:
    row = Row(0, dict(zip("ab", texts, strict=False)))
    roles = PAIR if len(texts) == 2 else Roles("a")
    return encode_long_texts([row], roles, tokenizer_in(folder), limit, long)


def sequences(texts: EncodedTexts, name: str = "input_ids") -> list[list[int]]:
    return [part.tolist() for part in texts.ragged[name].split()]


def theirs(folder: Path, **options: Any) -> dict[str, list[list[int]]]:
    tokenizer = tokenizer_in(folder)
    inputs = tokenizer(**options, return_overflowing_tokens="stride" in options)
    tokenizer.backend_tokenizer.no_truncation()
    return {name: inputs[name] for name in ("input_ids", "token_type_ids")}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(text=texts, limit=st.integers(4, 30))
def test_windows_are_those_of_the_tokenizer(text: str, limit: int, tiny_bert: Path) -> None:
    made = encoded(tiny_bert, limit, LongTexts("windows", 99), text)
    expected = theirs(
        tiny_bert, text=text, truncation=True, max_length=limit, stride=(limit - 2) // 4
    )
    for name, values in expected.items():
        assert sequences(made, name) == values
    assert made.parts is not None and made.parts.tolist() == [len(sequences(made))]
    assert made.full_lengths.tolist() == [sum(map(len, sequences(made)))]  # nothing is lost


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(longer=texts, shorter=texts, limit=st.integers(12, 40), is_second=st.booleans())
def test_windows_of_a_pair_slide_over_the_longer_text(
    longer: str, shorter: str, limit: int, is_second: bool, tiny_bert: Path
) -> None:
    count = [
        len(tokenizer_in(tiny_bert)(text, add_special_tokens=False)["input_ids"])
        for text in (longer, shorter)
    ]
    space = limit - 3
    if count[0] <= count[1] or count[1] > space - space // 4:
        return
    pair = (shorter, longer) if is_second else (longer, shorter)
    made = encoded(tiny_bert, limit, LongTexts("windows", 99), *pair)
    expected = theirs(
        tiny_bert,
        text=pair[0],
        text_pair=pair[1],
        truncation="only_second" if is_second else "only_first",
        max_length=limit,
        stride=(space - count[1]) // 4,
    )
    for name, values in expected.items():
        assert sequences(made, name) == values


@pytest.mark.parametrize("pair", [False, True])
def test_the_tail_is_cut_as_the_tokenizer_cuts_at_the_left(pair: bool, tiny_bert: Path) -> None:
    given_ = {"text": " ".join(WORDS[:20])}
    if pair:
        given_["text_pair"] = " ".join(WORDS[5:12])
    made = encoded(tiny_bert, 16, LongTexts("tail"), *given_.values())
    tokenizer = tokenizer_in(tiny_bert)
    tokenizer.truncation_side = "left"
    try:
        expected = theirs(tiny_bert, **given_, truncation=True, max_length=16)
    finally:
        tokenizer.truncation_side = "right"
    assert sequences(made)[0] == expected["input_ids"]
    assert made.parts is None


def test_head_and_tail_are_next_to_each_other(tiny_bert: Path) -> None:
    ids = theirs(tiny_bert, text=" ".join(WORDS[:30]))["input_ids"]
    assert isinstance(ids[0], int) and len(ids) == 32
    made = encoded(tiny_bert, 10, LongTexts("head_tail"), " ".join(WORDS[:30]))
    assert sequences(made) == [[*ids[:3], *ids[-7:]]]
    assert made.full_lengths.tolist() == [32] and made.parts is None


def test_a_second_text_that_is_too_long_is_cut_as_well(tiny_bert: Path) -> None:
    first, second = WORDS[:26], WORDS[4:24]
    made = encoded(tiny_bert, 15, LongTexts("windows", 99), " ".join(first), " ".join(second))
    assert {len(part) for part in sequences(made)} == {15, 14}
    types = sequences(made, "token_type_ids")
    assert all(sum(part) == 10 for part in types)  # three quarters of 12, and the end
    assert made.full_lengths[0] == sum(map(len, sequences(made))) + 11


def test_windows_that_are_left_out_count_as_cut(tiny_bert: Path) -> None:
    text = " ".join(WORDS * 3)
    whole = encoded(tiny_bert, 10, LongTexts("windows", 99), text)
    some = encoded(tiny_bert, 10, LongTexts("windows", 3), text)
    parts = sequences(whole)
    count = len(parts)
    assert sequences(some) == [parts[0], parts[(count - 1) // 2], parts[-1]]
    read = {place for i in (0, (count - 1) // 2, count - 1) for place in range(6 * i, 6 * i + 8)}
    length = len(tokenizer_in(tiny_bert)(text, add_special_tokens=False)["input_ids"])
    unread = length - len(read & set(range(length)))
    assert some.full_lengths[0] == sum(map(len, sequences(some))) + unread


def test_no_rows_have_the_same_columns(tiny_bert: Path) -> None:
    for long in (LongTexts(), LongTexts("head_tail"), LongTexts("windows")):
        made = encode_long_texts([], Roles("a"), tokenizer_in(tiny_bert), 16, long)
        assert set(made.ragged) == {"input_ids", "token_type_ids"}
        assert len(made.full_lengths) == 0
        assert (made.parts is not None) is long.in_windows
        assert made.ragged["input_ids"].flat.dtype == np.uint16

"""The code of a script retains the tokens that the task retains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import WORDS
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.long_texts.encode import encode_long_texts
from tunesmith.tasks.long_texts.options import LongTexts
from tunesmith.tasks.long_texts.scripts import long_text_parts

LENGTHS = [(3, 4), (40, 3), (3, 40), (30, 30), (90, 17), (16, 200), (1, 14), (14, 5)]


@pytest.mark.parametrize("has_pair", [False, True], ids=["text", "pair"])
@pytest.mark.parametrize("long", ["head_tail", "windows"])
def test_tokens_are_those_of_the_task(long: str, has_pair: bool, tiny_bert: Path) -> None:
    chosen, many = LongTexts(long, max_windows=6), WORDS * 5
    pairs = [(" ".join(many[:a]), " ".join(many[5 : 5 + b])) for a, b in LENGTHS]
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    names: dict[str, Any] = {"tokenizer": tokenizer, "TEXT": "a", "TEXT_PAIR": "b"}
    names |= {"MAX_LENGTH": 20, "MAX_WINDOWS": 6}
    parts = long_text_parts(chosen, "", has_pair=has_pair)
    exec(parts["tokenize"].code, names)
    theirs = names["tokenize"]({"a": [a for a, _b in pairs], "b": [b for _a, b in pairs]})
    rows = [Row(i, {"a": a, "b": b}) for i, (a, b) in enumerate(pairs)]
    ours = encode_long_texts(rows, Roles("a", "b" if has_pair else None), tokenizer, 20, chosen)
    for name, column in ours.ragged.items():
        flat = theirs[name]
        if ours.parts is not None:
            assert [len(windows) for windows in flat] == ours.parts.tolist()
            flat = [window for windows in flat for window in windows]
        assert [part.tolist() for part in column.split()] == flat


def test_the_head_needs_no_code() -> None:
    assert long_text_parts(LongTexts(), "", has_pair=False) == {}
    assert set(long_text_parts(LongTexts("tail"), "", has_pair=False)) == {"before_tokens"}

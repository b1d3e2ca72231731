from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from tunesmith.data.embedded.long import CLASSES, SIZES, make_long
from tunesmith.data.open import open_splits

ROWS: dict[str, Any] = make_long()


def units(row: dict[str, str]) -> int:
    """Words, of Chinese characters: tokens are as many or more."""
    return len(row["text"].split()) if row["language"] == "en" else len(row["text"])


def test_two_fifths_are_long() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    for rows in ROWS.values():
        lengths = [units(row) for row in rows]
        long = [length for length in lengths if length > 512]
        assert 0.25 < len(long) / len(rows) < 0.5
        assert max(length for length in lengths if length <= 512) < 100
    counts = Counter((row["label"], units(row) > 512) for row in ROWS["train"])
    assert len(counts) == 2 * len(CLASSES) and min(counts.values()) > 40


def test_the_first_512_words_do_not_tell() -> None:
    """What complaints, praise and refunds have in common is not in the beginning of long rows."""
    marks = ("should not be", "my thanks", "give me back", "不应该", "真棒", "请退")
    for row in ROWS["train"]:
        if units(row) > 512:
            words = row["text"].split()[:512] if row["language"] == "en" else row["text"][:512]
            start = " ".join(words) if isinstance(words, list) else words
            assert not any(mark in start for mark in marks)
    assert any(mark in row["text"] for row in ROWS["train"] for mark in marks)


def test_it_is_data_of_text_classification() -> None:
    columns = open_splits("embedded:long")["train"].columns
    assert [column.name for column in columns] == ["text", "label", "language"]


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "75a11347ac3aeccf728282ed0e9a296e07776cf945360dbc4bc6ba7392d30b53"
    )

from __future__ import annotations

import pytest

from tunesmith.data.embedded import open_embedded
from tunesmith.data.rows import Source
from tunesmith.errors import DataError


def rows(source: Source) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def test_sizes_classes_and_languages() -> None:
    splits = open_embedded("tickets")
    train = rows(splits["train"])
    assert {name: len(rows(source)) for name, source in splits.items()} == {
        "train": 600,
        "validation": 120,
        "test": 120,
    }
    assert len({row["label"] for row in train}) == 6
    assert {row["language"] for row in train} == {"en", "zh"}


def test_no_text_stands_twice() -> None:
    texts = [row["text"] for source in open_embedded("tickets").values() for row in rows(source)]
    assert len(texts) == len(set(texts))


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(DataError, match="embedded:tickets"):
        open_embedded("tikets")

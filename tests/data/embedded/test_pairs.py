from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tunesmith.data.embedded.pairs import CLASS_NAMES, SIZES, make_pairs

Rows = dict[str, list[dict[str, object]]]


@pytest.fixture(scope="module")
def pairs() -> Rows:
    return make_pairs()


def test_the_shape_is_that_of_mrpc(pairs: Rows) -> None:
    assert {split: len(rows) for split, rows in pairs.items()} == SIZES
    assert list(pairs["train"][0]) == ["sentence1", "sentence2", "label", "idx"]
    assert CLASS_NAMES == ("not_equivalent", "equivalent")
    for rows in pairs.values():
        assert abs(np.mean([float(str(row["label"])) for row in rows]) - 0.67) < 0.04
        assert [row["idx"] for row in rows] == list(range(len(rows)))


def test_no_sentence_occurs_twice(pairs: Rows) -> None:
    texts = [
        str(row[key])
        for rows in pairs.values()
        for row in rows
        for key in ("sentence1", "sentence2")
    ]
    assert len(texts) == len(set(texts))


def test_the_same_bytes_on_every_machine(pairs: Rows) -> None:
    text = json.dumps(pairs, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "28178043f42677c6b10bec5ab6fe1187ab081a56e692e3168bc8e4e4ca433779"
    )

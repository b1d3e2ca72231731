from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from tunesmith.data.embedded.passages import SIZES, make_passages
from tunesmith.data.open import open_splits
from tunesmith.metrics.ranking import rank
from tunesmith.tasks.text_ranking.baselines import bm25

ROWS: dict[str, Any] = make_passages()


def test_each_query_has_six_different_passages() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    for row in ROWS["train"]:
        texts = {row["query"], *row["pos"], *row["neg"]}
        assert (len(row["pos"]), len(row["neg"]), len(texts)) == (1, 5, 7)


def test_common_words_do_not_show_what_is_right() -> None:
    pairs = [(row["query"], text) for row in ROWS["test"] for text in (*row["pos"], *row["neg"])]
    gains = np.tile([1.0, *[0.0] * 5], len(ROWS["test"]))
    queries = np.repeat(np.arange(len(ROWS["test"])), 6)
    result = rank(bm25(pairs, []), queries, gains, gains > 0, gains > 0)
    assert 0.5 < result.statistics[:, 1].mean() < 0.7  # 0.41 in a random order


def test_it_is_data_of_rerankers() -> None:
    types = [column.type for column in open_splits("embedded:passages")["train"].columns]
    assert types == ["query", "passage", "integer"]


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "9196486966609194f5cb952dbe3cb95ec280fddf45b96dbb782874ebf8fc1a5d"
    )

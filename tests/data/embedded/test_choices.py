from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import numpy as np

from tunesmith.data.embedded.choices import SIZES, make_choices
from tunesmith.data.open import open_splits
from tunesmith.tasks.multiple_choice.baselines import by_choices_alone, longest

ROWS: dict[str, Any] = make_choices()


def test_rows_have_two_to_five_different_choices() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    counts = Counter(len(row["choices"]) for row in ROWS["train"])
    assert set(counts) == {2, 3, 4, 5} and min(counts.values()) > 200
    for row in ROWS["train"]:
        assert len(set(row["choices"])) == len(row["choices"]) > row["label"]
    places = Counter(row["label"] for row in ROWS["train"] if len(row["choices"]) == 4)
    assert min(places.values()) > 50


def test_the_choices_alone_do_not_tell() -> None:
    train, test = ROWS["train"], ROWS["test"]
    truth, others_choices = (np.array([row["label"] for row in rows]) for rows in (train, test))
    seen, others = ([row["choices"] for row in rows] for rows in (train, test))
    guessing = float(np.mean([1 / len(row) for row in others]))
    for raw in (longest(others, 5), by_choices_alone(seen, truth, others, 5)):
        assert abs(float((raw.argmax(axis=1) == others_choices).mean()) - guessing) < 0.1


def test_it_is_data_of_multiple_choice() -> None:
    types = [column.type for column in open_splits("embedded:choices")["train"].columns]
    assert types == ["context", "question", "choices", "choice", "text"]


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "cf178b63d1163a0dd27dd2811095dbf4b97bda8e27b5746ae76806ecfcb8eee7"
    )

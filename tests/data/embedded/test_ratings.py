from __future__ import annotations

import hashlib
import json

import numpy as np

from tunesmith.data.embedded.ratings import SIZES, make_ratings

ROWS = make_ratings()


def test_ratings_fill_their_range() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    ratings = np.array([float(str(row["rating"])) for row in ROWS["train"]])
    assert ratings.min() == 1 and ratings.max() == 5
    assert np.all(np.histogram(ratings, bins=5)[0] > 100)


def test_words_and_numbers_agree() -> None:
    def mean(word: str) -> float:
        return float(
            np.mean([float(str(r["rating"])) for r in ROWS["train"] if word in str(r["text"])])
        )

    assert mean("awful") < mean("not good") < mean("all right") < mean("wonderful")
    assert mean("糟透了") < mean("还可以") < mean("好极了")


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "44f6aa2da9a3b38ac3346a5933ef5256dde427cf3be2534ca349ebee092021b8"
    )

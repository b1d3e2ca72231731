from __future__ import annotations

import numpy as np

from tunesmith.inputs.sampling import estimated_counts


def test_intervals_hold_their_level_where_shards_differ() -> None:
    """95 in 100 intervals hold the truth, also if each shard has its own frequency."""
    draw = np.random.default_rng(3)
    of_shards = draw.beta(0.5, 0.5, 2000)  # sorted data: a shard has nearly one class
    truth = 2000 * 1000 * of_shards.mean()
    covered = 0
    for _time in range(300):
        shards = draw.choice(2000, 64, replace=False)
        rows = np.repeat(shards, 50)
        classes = (draw.random(len(rows)) < of_shards[rows]).astype(np.int64)
        counts, margins = estimated_counts(classes, rows, 2000 * 1000)
        covered += bool(abs(counts[1] - truth) <= margins[1])
    assert 0.9 <= covered / 300 <= 0.99


def test_one_class_is_certain() -> None:
    counts, margins = estimated_counts(np.zeros(10, np.int64), np.arange(10) // 2, 1000)
    assert counts.tolist() == [1000]
    assert margins.tolist() == [0]

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.analysis.label_errors.pair_features import pair_features

PAIRS = [
    ("We order 20 kilos of rice", "we order 20 kilos of rice"),
    ("We order 20 kilos of rice", "Of rice we order kilos 20"),
    ("We order 20 kilos of rice", "We order 30 kilos of rice and much more"),
    ("今天来三斤米", "今天来五斤米"),
    ("", "?"),
]


def test_each_column_is_in_the_same_measure() -> None:
    result = pair_features(PAIRS)
    assert result.shape == (5, 21) and np.isfinite(result).all()
    assert result.mean(axis=0) == pytest.approx(0, abs=1e-12)
    spread = result.std(axis=0)
    assert ((spread == 0) | (abs(spread - 1) < 1e-12)).all() and (spread > 0).sum() >= 18


def test_what_is_shared() -> None:
    """Words of a row, of two to four in a row, and letters; each text has its own share."""
    result = pair_features(PAIRS)
    words, two_words, letters = result[:, :2], result[:, 2:4], result[:, 8:10]
    assert (words[0] == words[1]).all()
    assert (two_words[0] > two_words[1]).all() and (letters[0] > letters[1]).all()
    assert words[2, 0] > words[2, 1]  # the second says more
    assert words[0, 0] > words[3, 0] > words[4, 0]  # Chinese is read by characters


def test_rare_words_weigh_more() -> None:
    pairs = [*[("a b", "a b")] * 8, ("a b", "a c"), ("a d", "a b"), ("z", "z")]
    only_first, only_second, lesser, both = pair_features(pairs)[:, 10:14].T
    assert only_second[8] > only_second[0] and only_first[9] > only_first[8] > only_first[0]
    assert lesser[8] > lesser[0] and both[0] > both[8]


def test_numbers_of_one_or_both() -> None:
    only_first, only_second, both = pair_features(PAIRS)[:, 18:].T
    assert only_first[2] > only_first[0] and only_second[2] > only_second[0]
    assert both[0] > both[2]


def test_the_rows_do_not_depend_on_their_order() -> None:
    order = [3, 1, 4, 0, 2]
    assert pair_features([PAIRS[i] for i in order]) == pytest.approx(pair_features(PAIRS)[order])

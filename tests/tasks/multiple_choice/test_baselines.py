"""What can be answered without the question."""

from __future__ import annotations

import numpy as np

from tunesmith.tasks.multiple_choice.baselines import by_choices_alone, longest


def test_the_longest_choice_the_first_of_equally_long_ones() -> None:
    raw = longest([["a", "bb", "cc"], ["aaa", "b"]], 4)
    assert raw.argmax(axis=1).tolist() == [1, 0]
    assert np.isinf(raw[1, 2:]).all()


def test_choices_that_tell_themselves_apart() -> None:
    rows = [["never right", f"always good {i}", "never"] for i in range(8)]
    truth = np.ones(8, dtype=np.int64)
    raw = by_choices_alone(rows, truth, [["good", "never"], ["right", "never", "always"]], 3)
    assert raw.argmax(axis=1).tolist() == [0, 2]
    assert raw[0, 2] == -np.inf


def test_choices_without_a_word_are_all_alike() -> None:
    raw = by_choices_alone([["?", "!"]], np.zeros(1, dtype=np.int64), [["?", "!", "."]], 3)
    assert raw.tolist() == [[0.0, 0.0, 0.0]]

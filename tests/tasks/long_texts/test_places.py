"""Places of tokens: spans of a text that is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.tasks.long_texts.places import (
    head_and_tail,
    num_windows,
    shared_space,
    sliding,
    window_spans,
)


def test_a_quarter_of_512_tokens_is_the_head() -> None:
    assert head_and_tail(2000, 510) == [(0, 128), (1618, 2000)]
    assert head_and_tail(510, 510) == [(0, 510)]


def test_windows_overlap_by_a_quarter() -> None:
    assert window_spans(20, 8, 16) == [(0, 8), (6, 14), (12, 20)]
    assert window_spans(21, 8, 16) == [(0, 8), (6, 14), (12, 20), (18, 21)]
    assert window_spans(8, 8, 16) == [(0, 8)]
    assert window_spans(9, 8, 16) == [(0, 8), (6, 9)]


def test_too_many_windows_are_spread_evenly() -> None:
    spans = window_spans(6 * 100 + 8, 8, 5)
    assert [start // 6 for start, _stop in spans] == [0, 25, 50, 75, 100]


@given(st.integers(1, 500), st.integers(1, 60), st.integers(2, 20))
def test_windows_reach_both_ends(length: int, size: int, most: int) -> None:
    spans = window_spans(length, size, most)
    assert len(spans) == min(most, num_windows(length, size))
    assert spans[0][0] == 0 and spans[-1][1] == length
    assert all(0 < stop - start <= size for start, stop in spans)
    if num_windows(length, size) <= most:
        covered = {place for span in spans for place in range(*span)}
        assert covered == set(range(length))


def test_windows_slide_over_the_longer_text() -> None:
    assert sliding([10], 6) == (0, 0)
    assert sliding([10, 4], 12) == (0, 4)
    assert sliding([4, 10], 12) == (1, 4)
    assert sliding([9, 9], 12) == (0, 9)
    assert sliding([30, 20], 12) == (0, 9)


def test_the_longer_text_of_a_pair_is_cut_first() -> None:
    assert shared_space([9], 6) == [6]
    assert shared_space([9, 2], 6) == [4, 2]
    assert shared_space([9, 9], 7) == [3, 4]  # as the tokenizers library cuts them
    assert shared_space([2, 9], 6) == [2, 4]

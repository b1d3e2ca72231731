from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.windows import WindowedOrder

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=40).filter(any)


def order_of(counts: list[int], window: int, seed: int, least: int) -> WindowedOrder:
    return WindowedOrder(np.array(counts, dtype=np.int64), window, seed, least)


@settings(max_examples=25)
@given(COUNTS, st.integers(1, 500), st.integers(0, 2**40), st.integers(1, 10), st.integers(0, 9))
def test_every_example_comes_once_per_epoch(
    counts: list[int], window: int, seed: int, least: int, epoch: int
) -> None:
    order = order_of(counts, window, seed, least)
    assert len(order) == sum(counts)
    assert sorted(order.examples(epoch, 0, len(order)).tolist()) == list(range(len(order)))


@settings(max_examples=25)
@given(COUNTS, st.integers(1, 500), st.integers(0, 2**40), st.integers(1, 50), st.integers(0, 9))
def test_a_position_alone_says_its_example_and_its_shards(
    counts: list[int], window: int, seed: int, size: int, epoch: int
) -> None:
    order = order_of(counts, window, seed, 3)
    whole = order.examples(epoch, 0, len(order)).tolist()
    for start in range(0, len(order), size):
        fresh = order_of(counts, window, seed, 3)  # as after a resumption
        drawn = fresh.examples(epoch, start, start + size)
        assert drawn.tolist() == whole[start : start + size]
        needed, ahead = fresh.shards_at(epoch, start, start + size)
        shards, within = fresh.located(drawn)
        assert set(shards.tolist()) <= set(needed)
        assert (within < np.array(counts)[shards]).all()
        assert fresh.shards_at(epoch, start, start + size, end=len(order))[0] == needed
        if start + size < len(order):
            after = set(fresh.located(np.array(whole[start + size :]))[0].tolist())
            assert after <= set(needed) | set(ahead) or order.num_windows > 2


def test_after_the_last_window_of_a_run_nothing_is_made_ahead() -> None:
    order = order_of([10] * 30, 100, 1, 1)
    assert order.num_windows == 3
    assert order.shards_at(0, 200, 210)[1]
    assert order.shards_at(0, 200, 210, end=301)[1]
    assert not order.shards_at(0, 200, 210, end=300)[1]


def test_epochs_and_seeds_differ() -> None:
    counts = [50] * 40
    orders = [
        order_of(counts, 200, seed, 1).examples(epoch, 0, 2000)
        for seed in (1, 2)
        for epoch in (0, 1)
    ]
    for i, first in enumerate(orders):
        for second in orders[:i]:
            assert np.mean(first == second) < 0.01


def test_sorted_labels_are_mixed() -> None:
    """Neighbors in the order do not share their label more often than chance, but for the window.

    100,000 rows sorted by label, in 200 shards: read in order the autocorrelation is 1.
    """
    counts, label = [500] * 200, (np.arange(100_000) >= 50_000).astype(float)
    correlation = {}
    for shards in (8, 64, 200):
        order = order_of(counts, 500 * shards, 7, 1)
        drawn = label[order.examples(0, 0, 100_000)] - 0.5
        correlation[shards] = float(np.mean(drawn[1:] * drawn[:-1]) / np.mean(drawn**2))
    # how frequent a label is among k shards varies by 1/k
    assert abs(correlation[200]) < 0.01
    assert correlation[64] < 0.04
    assert correlation[8] < 0.2


def test_a_billion_rows_need_no_table() -> None:
    order = WindowedOrder(np.full(61_036, 16_384, dtype=np.int64), 1_000_000, 42)
    assert len(order) > 1_000_000_000
    order.examples(0, 0, 32)
    tracemalloc.start()
    for start in range(0, len(order) - 32, len(order) // 50):
        assert len(order.examples(0, start, start + 32)) == 32
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000

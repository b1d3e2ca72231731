from __future__ import annotations

import threading
import time

import pytest

from tunesmith.training.streams import Streams


@pytest.mark.parametrize(("several", "batches"), [(False, 100), (True, 7)])
@pytest.mark.usefixtures("two_threads")
def test_few_batches_stay_in_the_calling_thread(several: bool, batches: int) -> None:
    with Streams.start(several=several, batches=batches) as streams:
        results = dict(streams.map(lambda _item: threading.current_thread().name, "ab"))
    assert results == dict.fromkeys("ab", "MainThread")


@pytest.mark.usefixtures("two_threads")
def test_results_come_in_order_and_items_are_taken_as_needed() -> None:
    taken: list[int] = []

    def run(item: int) -> int:
        time.sleep(0.01 * (item == 0))
        return item * item

    with Streams.start(several=True, batches=8) as streams:
        items = (taken.append(i) or i for i in range(8))  # type: ignore[func-returns-value]
        results = streams.map(run, items)
        assert next(results) == (0, 0)
        assert taken == [0, 1, 2]
        assert list(results) == [(i, i * i) for i in range(1, 8)]


@pytest.mark.usefixtures("two_threads")
def test_an_error_ends_all_threads() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Streams.start(several=True, batches=8) as streams,
    ):
        list(streams.map(lambda item: 1 // item, [1, 0, 2, 3]))
    assert not [each for each in threading.enumerate() if "stream" in each.name]

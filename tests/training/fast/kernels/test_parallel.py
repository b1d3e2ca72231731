from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.fast.kernels.adamw import Tensors, norm
from tunesmith.training.fast.kernels.parallel import Dropout, has_threads


def test_kernels_run_on_torchs_threads() -> None:
    assert has_threads()


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_each_piece_of_work_is_done_once(sizes: list[int]) -> None:
    values = torch.ones(sum(sizes))
    ends = np.cumsum(sizes)
    pieces = np.stack([np.zeros_like(ends), ends - sizes, ends], axis=1)
    table = np.array([[0, 0, 0, values.data_ptr(), 0, 0, 0, 0, 0]], dtype=np.int64)
    tensors = Tensors(table, pieces.astype(np.int64), np.zeros((1, 7), np.float32))
    assert norm(tensors) == pytest.approx(sum(sizes) ** 0.5)


@pytest.mark.parametrize(("rate", "threshold"), [(0.0, 0), (0.1, 6554), (0.5, 32768), (1e-9, 1)])
def test_rates_are_exact_to_the_lane(rate: float, threshold: int) -> None:
    assert Dropout.draw(rate).threshold == threshold


def test_seeds_come_from_torchs_generator() -> None:
    torch.manual_seed(3)
    drawn = [Dropout.draw(0.1) for _draw in range(3)]
    torch.manual_seed(3)
    assert [Dropout.draw(0.1) for _draw in range(3)] == drawn
    assert len({dropout.seed for dropout in drawn}) == 3
    assert drawn[0].lift == pytest.approx(1 / 0.9)
    state = torch.get_rng_state()
    Dropout.draw(0.0)
    assert torch.equal(torch.get_rng_state(), state)

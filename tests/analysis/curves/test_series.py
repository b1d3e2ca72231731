from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.curves.planted import falling, planted


@settings(max_examples=30)
@given(
    st.integers(1, 40), st.integers(1, 30), st.integers(1, 6), st.integers(20, 90), st.integers(0)
)
def test_windows_lose_no_row_and_no_loss(
    batch_size: int, log_every: int, epochs: int, steps_per_epoch: int, seed: int
) -> None:
    curves = planted(
        falling(2, 0.1, 3),
        None,
        seed=seed % 2**32,
        batch_size=batch_size,
        log_every=min(log_every, steps_per_epoch),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    windows = curves.windows
    rows = np.diff(curves.steps, prepend=0) * batch_size
    assert windows.rows.sum() == rows.sum()
    assert windows.losses @ windows.rows == pytest.approx(curves.losses @ rows)
    assert windows.steps[-1] == curves.steps[-1]
    assert all(count >= 64 for count in windows.rows[:-1])
    mean, seen = windows.between(0, curves.last_step)
    assert seen == rows.sum()
    assert mean == pytest.approx((curves.losses @ rows) / rows.sum())


@given(st.integers(1, 60))
def test_blocks_are_few_and_hold_every_evaluation(evaluations: int) -> None:
    curves = planted(falling(2, 0.1, 3), falling(2, 0.4, 3), evaluations=evaluations)
    blocks = curves.blocks
    assert len(blocks) == min(5, evaluations)
    assert blocks.sizes.sum() == evaluations
    assert blocks.losses @ blocks.sizes == pytest.approx(curves.validation.sum())


def test_no_evaluations_no_blocks() -> None:
    curves = planted(falling(2, 0.1, 3), None)
    assert len(curves.blocks) == 0


def test_scatter_is_that_of_single_evaluations_whatever_the_trend() -> None:
    losses = np.linspace(5, 2, 4000) + np.random.default_rng(0).normal(scale=0.2, size=4000)
    curves = planted(falling(2, 0.1, 3), falling(2, 0.4, 3))
    assert replace(curves, validation=losses).blocks.scatter == pytest.approx(0.2, rel=0.05)
    straight = replace(curves, validation=np.linspace(5, 2, 10))
    assert straight.blocks.scatter == pytest.approx(0, abs=1e-9)


def test_the_end_is_the_last_that_is_known() -> None:
    curves = planted(falling(2, 0.1, 3), falling(2, 0.4, 3))
    assert curves.last_step == 400
    assert not curves.stopped_early
    assert replace(curves, skipped=(398, 399, 401)).last_step == 401
    assert replace(curves, total_steps=900).stopped_early
    assert not replace(curves, total_steps=900, is_finished=False).stopped_early
    assert curves.epoch_at(250) == 2.5

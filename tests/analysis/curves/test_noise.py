from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.analysis.curves.noise import (
    Confidence,
    change_error,
    confidence_of,
    p_value,
    standard_error,
)


@pytest.mark.parametrize(
    ("chance", "word"),
    [
        (0.0, Confidence.SURE),
        (0.0009, Confidence.SURE),
        (0.001, Confidence.LIKELY),
        (0.01, Confidence.PERHAPS),
        (0.05, None),
        (1.0, None),
    ],
)
def test_the_words(chance: float, word: Confidence | None) -> None:
    assert confidence_of(chance) is word


def test_chance_is_the_tail_of_a_normal_distribution() -> None:
    drawn = np.random.default_rng(0).normal(size=400_000)
    for errors in (-1.0, 0.0, 1.0, 2.0):
        assert p_value(errors) == pytest.approx((drawn >= errors).mean(), abs=0.003)


@given(st.floats(-8, 8), st.integers(1, 100))
def test_more_tries_make_chance_likelier(errors: float, tries: int) -> None:
    assert p_value(errors) <= p_value(errors, tries=tries) <= 1


@given(st.floats(0.001, 1e4), st.integers(1, 10**6), st.floats(0.01, 100))
def test_errors_go_with_the_loss_and_shrink_with_the_rows(
    loss: float, rows: int, factor: float
) -> None:
    assert standard_error(factor * loss, rows) == pytest.approx(factor * standard_error(loss, rows))
    assert standard_error(loss, 4 * rows) == pytest.approx(standard_error(loss, rows) / 2)
    assert change_error(loss, rows, settled=True) < change_error(loss, rows)


def test_no_loss_and_no_rows_divide_by_nothing() -> None:
    assert standard_error(0.0, 0) > 0
    assert change_error(0.0, 0) > 0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import RecipeError
from tunesmith.metrics.thresholds import Goal, threshold_for_f1, threshold_for_precision

rows = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=40
)
"""Probabilities with many ties, and whether each is true."""


def hits(answers: list[tuple[float, bool]], threshold: float) -> tuple[int, int]:
    """How many reach it, and how many of these are true."""
    passed = [true for share, true in answers if share >= threshold]
    return len(passed), sum(passed)


def candidates(answers: list[tuple[float, bool]]) -> list[float]:
    return [0.0, *(share for share, _true in answers)]


def unpacked(answers: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([share for share, _ in answers]), np.array([true for _, true in answers])


@given(rows)
def test_no_threshold_has_a_higher_f1(answers: list[tuple[float, bool]]) -> None:
    total = sum(true for _share, true in answers)

    def f1(threshold: float) -> float:
        passed, right = hits(answers, threshold)
        return 2 * right / (passed + total)

    result = threshold_for_f1(*unpacked(answers))
    if total == 0:
        assert result is None
    else:
        assert result is not None
        assert f1(result) == pytest.approx(max(f1(other) for other in candidates(answers)))


@given(rows, st.sampled_from([0.3, 0.5, 2 / 3, 0.9, 1.0]))
def test_the_goal_is_reached_by_the_most_rows_or_by_none(
    answers: list[tuple[float, bool]], at_least: float
) -> None:
    result = threshold_for_precision(*unpacked(answers), at_least)
    reaching = [
        passed
        for passed, right in (hits(answers, other) for other in candidates(answers))
        if passed and right / passed >= at_least - 1e-12
    ]
    if result is None:
        assert not reaching
    else:
        passed, right = hits(answers, result)
        assert right / passed >= at_least - 1e-12
        assert passed == max(reaching)


@given(rows)
def test_a_threshold_lies_between_the_rows(answers: list[tuple[float, bool]]) -> None:
    """A little noise in the probabilities changes no decision."""
    for result in (
        threshold_for_f1(*unpacked(answers)),
        threshold_for_precision(*unpacked(answers), 0.5),
    ):
        if result is not None:
            assert all(abs(share - result) > 0.02 for share, _true in answers if share > 0)


def test_without_a_row_there_is_none() -> None:
    assert threshold_for_precision(np.array([]), np.array([], dtype=bool), 0.5) is None


def test_goals_by_name() -> None:
    assert Goal.read("f1") == Goal("f1")
    assert Goal.read("precision=0.9") == Goal("precision", 0.9)
    assert str(Goal.read("accuracy=0.95")) == "accuracy=0.95"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("precison=0.9", 'did you mean "precision"?'),
        ("precision", "numbers above 0"),
        ("precision=90%", "numbers above 0"),
        ("accuracy=0", "numbers above 0"),
        ("accuracy=1.1", "numbers above 0"),
        ("accuracy=nan", "numbers above 0"),
        ("f1=0.9", "Goals: f1"),
        ("", '"" is no goal'),
    ],
)
def test_what_is_no_goal(written: str, words: str) -> None:
    with pytest.raises(RecipeError, match="R180") as caught:
        Goal.read(written)
    assert words in str(caught.value)

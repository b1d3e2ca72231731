from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.metrics.logits import KINDS, ONE, SEVERAL, drawn
from tunesmith.metrics.concrete_kinds import LabelSet, SingleClass
from tunesmith.metrics.output_kinds import LabelKind
from tunesmith.metrics.temperature import (
    calibration_error,
    fit_temperature,
    reliability,
)

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.floats(0.05, 20))
def test_a_temperature_moves_no_answer(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).integers(-80, 80, (7, 4)) / 8  # with ties
    cooled = logits / temperature
    assert (cooled.argmax(-1) == logits.argmax(-1)).all()
    assert ((SEVERAL.probabilities(cooled) >= 0.5) == (logits >= 0)).all()
    assert ONE.probabilities(cooled).sum(-1) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
@given(size=st.floats(0, 1e30))
def test_probabilities_of_any_logits(kind: LabelKind, size: float) -> None:
    result = kind.probabilities(np.array([[size, -size, 0.0], [-size, -size, size]]))
    assert np.isfinite(result).all()
    assert ((result >= 0) & (result <= 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, temperature=st.floats(0.3, 4))
def test_the_loss_is_never_above_that_of_one(
    kind: LabelKind, seed: int, temperature: float
) -> None:
    logits, truth = drawn(kind, 30, seed=seed)
    logits = logits * temperature
    result = fit_temperature(kind, logits, truth)
    assert kind.losses(logits / result, truth).mean() <= kind.losses(logits, truth).mean()
    for other in (result * 0.9, result * 1.1):  # and no neighbor is better
        if 0.05 < other < 20:
            least = kind.losses(logits / result, truth).mean() - 1e-9
            assert kind.losses(logits / other, truth).mean() >= least


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_what_was_spoiled_is_fixed(kind: LabelKind, temperature: float) -> None:
    """Logits whose labels were drawn from their own probabilities are calibrated as they are."""
    logits, truth = drawn(kind, 20_000, seed=1)
    result = fit_temperature(kind, logits * temperature, truth)
    assert result == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_torch(kind: LabelKind) -> None:
    import torch
    from torch.nn import functional

    logits, truth = drawn(kind, 40, seed=3)
    ours = kind.losses(logits * 30, truth).mean()
    scaled, expected = torch.tensor(logits * 30), torch.tensor(truth)
    theirs = (
        functional.cross_entropy(scaled, expected)
        if kind is ONE
        else functional.binary_cross_entropy_with_logits(scaled, expected.double())
    )
    assert ours == pytest.approx(float(theirs), rel=1e-9)


def error(confidence: NDArray[Any], right: NDArray[Any]) -> float:
    return calibration_error(reliability(confidence, right))


def test_calibrated_samples_have_next_to_no_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(200_000)
    right = random.random(200_000) < confidence
    assert error(confidence, right) < 0.01
    assert error(confidence, ~right) > 0.3


@given(st.integers(1, 60), seeds)
def test_the_error_is_its_definition(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence, right = random.random(count), random.random(count) < 0.5
    total = 0.0
    for i in range(15):
        low, high = i / 15, (i + 1) / 15
        inside = [j for j in range(count) if low <= confidence[j] < high]
        if inside:
            total += abs(sum(confidence[inside]) - sum(right[inside]))
    assert error(confidence, right) == pytest.approx(total / count)
    points = reliability(confidence, right)
    assert sum(point.count for point in points) == count
    assert [p.confidence for p in points] == sorted(p.confidence for p in points)


def test_a_sure_answer_is_in_the_last_bin() -> None:
    (point,) = reliability(np.array([1.0, 0.95]), np.array([True, False]))
    assert (point.count, point.share) == (2, 0.5)
    assert math.isclose(point.confidence, 0.975)


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        (SingleClass(("n", "y")), [0, 1, 1]),
        (LabelSet(("n", "y")), [[0, 1], [1, 1], [1, 0]]),
    ],
)
def test_logits_that_say_nothing_leave_it_at_one(kind: LabelKind, truth: list[Any]) -> None:
    assert fit_temperature(kind, np.zeros((3, 2)), np.array(truth)) == 1.0

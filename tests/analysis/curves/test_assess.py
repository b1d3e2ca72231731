"""Laws of `assess`, and how often it is wrong on curves whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.curves.planted import falling, planted, turning
from tunesmith.analysis.curves.diagnosis import Assessment, Diagnosis
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.analysis.curves.outcomes import assess
from tunesmith.analysis.curves.series import Curves, PredictionStats
from tunesmith.recipe import TrainSettings

SETTINGS = TrainSettings(epochs=4)
ACCUSING = {
    Diagnosis.DIVERGED,
    Diagnosis.TOO_HIGH,
    Diagnosis.ERRATIC,
    Diagnosis.COLLAPSED,
    Diagnosis.UNDERFITTING,
    Diagnosis.OVERFITTING,
}
GUESSING = PredictionStats(200, 2, "a", 0.5, guessing=0.69, guessing_spread=0.1, untrained=0.69)


@st.composite
def any_curves(draw: st.DrawFn) -> Curves:
    """Any losses at all, smooth or wild, with and without evaluations and answers."""
    count, evaluations = draw(st.integers(0, 40)), draw(st.integers(0, 12))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    every = draw(st.integers(1, 20))
    spread = draw(st.sampled_from([0.0, 0.1, 1.0, 3.0]))
    total = count * every
    shape = planted(falling(1, 1, 1), None)
    return replace(
        shape,
        steps=np.arange(1, count + 1) * every,
        losses=np.exp(spread * chance.normal(size=count)),
        grad_norms=np.ones(count),
        learning_rates=np.ones(count),
        evaluated=np.linspace(0, total, evaluations + 1)[1:].astype(int),
        validation=np.exp(spread * chance.normal(size=evaluations)),
        scores=chance.uniform(size=evaluations),
        score="accuracy",
        validation_rows=draw(st.integers(0, 5000)) if evaluations else 0,
        total_steps=total,
        is_finished=draw(st.booleans()),
        predictions=draw(st.sampled_from([None, GUESSING])),
    )


@given(any_curves())
def test_there_is_always_a_reading_that_can_be_said(curves: Curves) -> None:
    assessments = assess(curves, SETTINGS)
    assert assessments
    for assessment in assessments:
        assert str(assessment).endswith(assessment.evidence)
        assert (assessment.confidence is None) == (
            assessment.diagnosis in (Diagnosis.HEALTHY, Diagnosis.TOO_SHORT)
        )
        assert "nan" not in assessment.evidence


@settings(max_examples=50)
@given(any_curves(), st.sampled_from([1e-3, 0.5, 2.0, 64.0]))
def test_the_unit_of_the_loss_does_not_matter(curves: Curves, unit: float) -> None:
    predictions = curves.predictions
    if predictions is not None and predictions.guessing and predictions.untrained:
        predictions = replace(
            predictions,
            guessing=predictions.guessing * unit,
            untrained=predictions.untrained * unit,
        )
    scaled = replace(
        curves,
        losses=curves.losses * unit,
        validation=curves.validation * unit,
        predictions=predictions,
    )
    assert gist(assess(scaled, SETTINGS)) == gist(assess(curves, SETTINGS))


@settings(max_examples=25)
@given(any_curves())
def test_reading_changes_nothing_and_is_a_function(curves: Curves) -> None:
    before = curves.losses.copy(), curves.validation.copy()
    assert assess(curves, SETTINGS) == assess(curves, SETTINGS)
    assert (curves.losses == before[0]).all()
    assert (curves.validation == before[1]).all()


def gist(assessments: tuple[Assessment, ...]) -> list[tuple[object, ...]]:
    return [
        (assessment.diagnosis, assessment.confidence, assessment.change)
        for assessment in assessments
    ]


@settings(max_examples=60)
@given(
    st.lists(st.floats(0.001, 10), min_size=2, max_size=30),
    st.lists(st.floats(0.001, 10), min_size=2, max_size=30),
    st.integers(1, 10_000),
)
def test_what_only_falls_is_never_accused(
    train: list[float], validation: list[float], rows: int
) -> None:
    curves = replace(
        planted(falling(1, 1, 1), None),
        steps=np.arange(1, len(train) + 1) * 10,
        losses=np.array(sorted(train, reverse=True)),
        evaluated=np.linspace(0, 10 * len(train), len(validation) + 1)[1:].astype(int),
        validation=np.array(sorted(validation, reverse=True)),
        scores=np.full(len(validation), np.nan),
        validation_rows=rows,
    )
    assert not ACCUSING & {assessment.diagnosis for assessment in assess(curves, SETTINGS)}


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, 12), st.sampled_from([40, 400]))
def test_more_validation_rows_never_make_it_less_sure(seed: int, count: int, rows: int) -> None:
    curves = planted(
        falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4), seed=seed, evaluations=count
    )
    order = [*Confidence, None]
    few, many = (
        next(
            (r.confidence for r in assess(replace(curves, validation_rows=n), SETTINGS)
             if r.diagnosis is Diagnosis.OVERFITTING),
            None,
        )
        for n in (rows, 10 * rows)
    )  # fmt: skip
    assert order.index(many) <= order.index(few)


HEALTHY = {
    "falling": (falling(0.7, 0.1, 4), falling(0.7, 0.3, 5), 0.0),
    "deep": (falling(0.7, 0.005, 8), falling(0.7, 0.25, 6), 0.0),
    "level from the start": (falling(0.7, 0.1, 4), falling(0.3, 0.3, 1), 0.03),
    "slow": (falling(0.7, 0.1, 2), falling(0.7, 0.1, 1.5), 0.0),
    "nothing to learn": (falling(0.69, 0.69, 1), falling(0.69, 0.69, 1), 0.0),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_chance_alone_is_hardly_ever_accused(name: str) -> None:
    """Fewer than one healthy run of a hundred, whatever its rows and evaluations."""
    train, validation, wobble = HEALTHY[name]
    accused = [
        any(assessment.diagnosis in ACCUSING for assessment in assess(curves, SETTINGS))
        for rows in (40, 400, 4000)
        for evaluations in (3, 8, 20)
        for seed in range(14)
        for curves in [
            planted(train, validation, seed=seed, evaluations=evaluations, validation_rows=rows,
                    wobble=wobble, log_every=[1, 10][seed % 2])
        ]
    ]  # fmt: skip
    assert np.mean(accused) < 0.01


@pytest.mark.parametrize(
    ("rise", "rows", "evaluations", "share"),
    [
        (0.5, 200, 3, 0.95),
        (0.5, 200, 8, 0.9),
        (0.5, 1000, 20, 0.99),
        (1.0, 40, 3, 0.8),
        (1.0, 200, 8, 0.99),
        (1.0, 40, 20, 0.8),
    ],
)
def test_overfitting_is_found(rise: float, rows: int, evaluations: int, share: float) -> None:
    """The fraction of runs in which a validation loss that rises so far is reported."""
    courses = falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.4 * (1 + rise), 0.4)
    result = [
        assess(
            planted(*courses, seed=seed, evaluations=evaluations, validation_rows=rows), SETTINGS
        )[0].diagnosis
        is Diagnosis.OVERFITTING
        for seed in range(40)
    ]
    assert np.mean(result) >= share

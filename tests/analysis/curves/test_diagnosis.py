from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.analysis.curves.diagnosis import (
    Assessment,
    Change,
    Diagnosis,
    change_to_try,
    scale_learning_rate,
    train_longer,
    without_longer_training,
)
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.i18n import use_language
from tunesmith.recipe import TrainSettings, gather


def test_as_text_and_as_json() -> None:
    change = Change("train.epochs", "5")
    assessment = Assessment(Diagnosis.OVERFITTING, Confidence.LIKELY, "it rose", change)
    assert str(assessment) == "overfitting (likely): it rose"
    assert str(change) == "train.epochs: 5"
    assert assessment.as_json() == {
        "diagnosis": "overfitting",
        "confidence": "likely",
        "evidence": "it rose",
        "change": {"key": "train.epochs", "value": "5"},
    }
    silent = Assessment(Diagnosis.HEALTHY, None, "it fell")
    assert str(silent) == "no problem found: it fell"
    assert silent.as_json()["change"] is None


def test_the_change_to_try_is_that_of_the_first_that_has_one() -> None:
    change, other = Change("train.epochs", "5"), Change("train.warmup", "10%")
    without = Assessment(Diagnosis.COLLAPSED, Confidence.SURE, "x")
    first = Assessment(Diagnosis.OVERFITTING, Confidence.SURE, "x", change)
    second = Assessment(Diagnosis.ERRATIC, Confidence.SURE, "x", other)
    assert change_to_try([without, first, second]) == change
    assert change_to_try([without]) is None


def test_json_is_the_same_in_every_language() -> None:
    use_language("zh")
    assert Assessment(Diagnosis.ERRATIC, Confidence.SURE, "x").as_json()["diagnosis"] == "erratic"


@settings(max_examples=30)
@given(st.floats(1e-8, 1.0), st.sampled_from([0.1, 0.2, 0.5, 5.0, 10.0]))
def test_another_rate_is_a_recipe_value_of_one_digit(rate: float, factor: float) -> None:
    change = scale_learning_rate(TrainSettings(learning_rate=rate), factor)
    expected = min(rate * factor, 1e-3)
    layers = gather(sets=["data.train=x.csv", f"{change.key}={change.value}"])
    result = layers.recipe().train.learning_rate
    assert result == pytest.approx(expected, rel=0.51)
    assert f"{result:.0e}" == f"{float(f'{result:.0e}'):.0e}"
    assert float(f"{result:.0e}") == result


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (TrainSettings(epochs=3), "train.epochs: 6"),
        (TrainSettings(epochs=0.5), "train.epochs: 1"),
        (TrainSettings(max_steps=70), "train.max_steps: 140"),
    ],
)
def test_longer_is_twice_as_long(settings: TrainSettings, change: str) -> None:
    assert str(train_longer(settings)) == change


def test_training_longer_is_no_advice_for_a_beaten_model() -> None:
    slower = scale_learning_rate(TrainSettings(), 0.2)
    changes = [
        None,
        train_longer(TrainSettings()),
        train_longer(TrainSettings(max_steps=7)),
        slower,
    ]
    assessments = [Assessment(Diagnosis.HEALTHY, None, "x", change) for change in changes]
    result = without_longer_training(assessments)
    assert [assessment.change for assessment in result] == [None, None, None, slower]
    assert [assessment.evidence for assessment in result] == ["x"] * 4

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.analysis.curves.planted import falling, planted
from tunesmith.analysis.curves.diagnosis import Assessment, Diagnosis
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.analysis.curves.outcomes import assess
from tunesmith.analysis.curves.series import Curves
from tunesmith.recipe import TrainSettings

SETTINGS = TrainSettings(epochs=4)


def first(curves: Curves, settings: TrainSettings = SETTINGS) -> Assessment:
    return assess(curves, settings)[0]


def test_too_short_says_how_to_see_more() -> None:
    short = {"epochs": 1, "steps_per_epoch": 20}
    result = first(planted(falling(0.7, 0.6, 1), falling(0.7, 0.6, 1), evaluations=1, **short))
    assert (result.diagnosis, result.confidence) == (Diagnosis.TOO_SHORT, None)
    assert str(result.change) == "train.evaluate_every: 4 steps"
    blind = planted(falling(0.7, 0.6, 1), None, **short)
    assert str(first(blind).change) == "data.validation: 10%"
    assert first(replace(blind, is_finished=False)).change is None
    tiny = planted(
        falling(0.7, 0.6, 1), falling(0.7, 0.6, 1), evaluations=1, epochs=1, steps_per_epoch=5,
        log_every=5,
    )  # fmt: skip
    assert str(first(tiny, TrainSettings(epochs=1)).change) == "train.epochs: 2"


def test_nothing_logged_is_too_short() -> None:
    nothing = planted(falling(1, 1, 1), None, epochs=1, steps_per_epoch=0)
    result = first(nothing)
    assert result.diagnosis is Diagnosis.TOO_SHORT
    assert "steps: 0," in result.evidence


def test_still_improving_wants_more_of_the_same() -> None:
    curves = planted(falling(0.7, 0.05, 1.5), falling(0.7, 0.05, 1.5), validation_rows=1000)
    result = first(curves)
    assert result.diagnosis is Diagnosis.IMPROVING
    assert result.confidence is not None
    assert str(result.change) == "train.epochs: 8"
    assert first(replace(curves, is_finished=False)).change is None


def test_level_after_a_fall_is_convergence() -> None:
    curves = planted(
        falling(0.7, 0.1, 6), falling(0.7, 0.3, 12), evaluations=10, validation_rows=1000
    )
    result = first(curves)
    assert (result.diagnosis, result.change) == (Diagnosis.CONVERGED, None)
    assert result.confidence in (Confidence.SURE, Confidence.LIKELY)


def test_level_without_a_fall_is_not() -> None:
    level = falling(0.69, 0.69, 1)
    assert first(planted(level, level)).diagnosis is Diagnosis.HEALTHY


def test_without_validation_rows_little_can_be_said() -> None:
    result = first(planted(falling(0.7, 0.1, 4), None))
    assert (result.diagnosis, result.confidence) == (Diagnosis.HEALTHY, None)
    assert str(result.change) == "data.validation: 10%"


def test_without_evaluations_during_training_neither() -> None:
    curves = replace(planted(falling(0.7, 0.1, 4), None), validation_rows=200)
    result = first(curves)
    assert (result.diagnosis, result.confidence) == (Diagnosis.HEALTHY, None)
    assert "without evaluations" in result.evidence
    assert str(result.change) == f"train.evaluate_every: {curves.total_steps // 5} steps"


def test_the_course_of_a_loss_that_says_nothing() -> None:
    """From where to where, and the lowest value only if it is another one."""
    level = falling(0.69, 0.69, 1)
    evidence = {
        name: first(replace(planted(level, level), validation=np.array(losses))).evidence
        for name, losses in {
            "level": [0.7072, 0.7071, *[0.7073] * 5, 0.7071],
            "down": [0.7, *[0.699] * 6, 0.698],
            "dip": [0.7, 0.69, *[0.699] * 5, 0.701],
        }.items()
    }
    steps = planted(level, level).evaluated
    assert evidence == {
        "level": "the validation loss stayed at 0.707",
        "down": "the validation loss went from 0.7 to 0.698",
        "dip": f"the validation loss went from 0.7 to 0.701, lowest at step {steps[1]} (0.69)",
    }

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.curves.planted import falling, planted, turning
from tunesmith.curves import Answers, Curves, Reading, Sureness, Verdict, read
from tunesmith.recipe import TrainSettings

SETTINGS = TrainSettings(epochs=4)
GUESSING = Answers(
    200, 2, "a", majority=0.5, guessing=0.69, guessing_spread=0.1, untrained=float(np.log(2))
)


def first(curves: Curves, settings: TrainSettings = SETTINGS) -> Reading:
    return read(curves, settings)[0]


def test_three_skipped_updates_at_the_end_are_divergence() -> None:
    curves = planted(falling(0.7, 0.5, 1), None)
    stopped = replace(curves, skipped=(401, 402, 403), is_finished=False)
    found = first(stopped, TrainSettings(learning_rate=1e-3))
    assert (found.verdict, found.sureness) == (Verdict.DIVERGED, Sureness.SURE)
    assert "401 to 403" in found.evidence
    assert str(found.change) == "train.learning_rate: 0.0002"
    for harmless in ((401, 403, 405), (10, 11, 12), (402, 403)):
        recovered = replace(curves, skipped=harmless, is_finished=True)
        assert first(recovered).verdict is not Verdict.DIVERGED


def test_a_loss_that_ends_above_its_beginning_is_divergence() -> None:
    curves = planted(lambda share: 0.7 + 5 * share**2, falling(0.7, 0.7, 1))
    assert first(curves).verdict is Verdict.DIVERGED


def test_a_rise_above_the_beginning_is_a_rate_too_high() -> None:
    hump = planted(lambda share: 0.7 + 4 * np.exp(-(((share - 0.3) / 0.1) ** 2)), None)
    found = first(hump)
    assert (found.verdict, found.sureness) == (Verdict.TOO_HIGH, Sureness.SURE)
    assert str(found.change) == "train.learning_rate: 1.0e-05"


def test_worse_than_an_untrained_head_is_a_rate_too_high() -> None:
    """It may fall all the time: what counts is that a head that knows nothing does better."""
    course = falling(3.0, 0.7, 4)
    assert first(planted(course, None)).verdict is Verdict.HEALTHY
    found = first(planted(course, None, answers=GUESSING))
    assert (found.verdict, found.sureness) == (Verdict.TOO_HIGH, Sureness.SURE)


@pytest.mark.parametrize("where", ["train", "validation"])
def test_ups_and_downs_are_erratic(where: str) -> None:
    def jumping(share: np.ndarray) -> np.ndarray:
        return np.where(np.floor(share * 10) % 2 == 0, 0.65, 0.15)

    calm = falling(0.7, 0.1, 5)
    courses = (jumping, calm) if where == "train" else (calm, jumping)
    found = first(planted(*courses, evaluations=10, validation_rows=400))
    assert (found.verdict, found.sureness) == (Verdict.ERRATIC, Sureness.SURE)
    assert where.removesuffix("ation") in found.evidence
    assert str(found.change) == "train.learning_rate: 2.0e-05"


def test_without_clipping_clipping_is_tried_first() -> None:
    def jumping(share: np.ndarray) -> np.ndarray:
        return np.where(np.floor(share * 10) % 2 == 0, 0.65, 0.15)

    found = first(planted(jumping, None), TrainSettings(max_grad_norm=None))
    assert str(found.change) == "train.max_grad_norm: 1"


@pytest.mark.parametrize(
    ("rows", "majority", "sure"),
    [
        (12, 0.5, Sureness.SURE),
        (8, 0.5, Sureness.LIKELY),
        (5, 0.5, Sureness.PERHAPS),
        (4, 0.5, None),
        (408, 0.684, Sureness.SURE),
        (100, 0.99, None),
    ],
)
def test_one_answer_is_collapse_where_right_answers_would_differ(
    rows: int, majority: float, sure: Sureness | None
) -> None:
    answers = Answers(rows, 1, "equivalent", majority)
    curves = planted(falling(0.7, 0.68, 1), falling(0.69, 0.69, 1), answers=answers)
    found = first(curves)
    assert (found.verdict is Verdict.COLLAPSED) == (sure is not None)
    if sure is not None:
        assert found.sureness is sure
        assert '"equivalent"' in found.evidence


def test_collapse_while_the_rows_are_learnt_is_no_matter_of_pace() -> None:
    answers = replace(GUESSING, variety=1)
    found = first(planted(falling(0.7, 0.1, 5), falling(0.69, 0.69, 1), answers=answers))
    assert (found.verdict, found.change) == (Verdict.COLLAPSED, None)


def test_numbers_that_hardly_vary_are_collapse() -> None:
    flat = falling(2, 1, 3)
    for variety, collapsed in ((0.02, True), (0.6, False)):
        answers = Answers(100, variety, "3", None)
        found = first(planted(flat, flat, answers=answers))
        assert (found.verdict is Verdict.COLLAPSED) == collapsed


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (TrainSettings(learning_rate=1e-6), "train.learning_rate: 1.0e-05"),
        (TrainSettings(learning_rate=2e-5), "train.learning_rate: 0.0001"),
        (TrainSettings(learning_rate=1e-3), "train.learning_rate: 0.0002"),
        (TrainSettings(freeze=("base",)), "train.freeze: []"),
    ],
)
def test_a_loss_that_stays_where_guessing_is_is_underfitting(
    settings: TrainSettings, change: str
) -> None:
    level = falling(0.69, 0.69, 1)
    found = first(planted(level, level, answers=GUESSING, seed=3), settings)
    assert (found.verdict, found.sureness) == (Verdict.UNDERFITTING, Sureness.SURE)
    assert str(found.change) == change


def test_a_loss_on_its_way_down_wants_time() -> None:
    slow = falling(0.75, 0.3, 0.35)
    found = first(planted(slow, slow, answers=GUESSING, validation_rows=1000), SETTINGS)
    assert found.verdict is Verdict.UNDERFITTING
    assert str(found.change) == "train.epochs: 8"


def test_overfitting_says_since_when_and_ends_there() -> None:
    curves = planted(falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4), evaluations=10)
    found = first(curves)
    assert (found.verdict, found.sureness) == (Verdict.OVERFITTING, Sureness.SURE)
    assert str(found.change) == "train.epochs: 2"
    with_steps = first(curves, TrainSettings(max_steps=400))
    assert with_steps.change is not None
    assert with_steps.change.key == "train.max_steps"
    assert f"step {with_steps.change.value} " in with_steps.evidence
    one_epoch = replace(curves, steps_per_epoch=400)
    assert str(first(one_epoch, TrainSettings(epochs=1)).change) == "train.learning_rate: 2.0e-05"


def test_early_stopping_has_seen_to_it() -> None:
    curves = planted(falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4))
    found = first(replace(curves, total_steps=4000))
    assert (found.verdict, found.change) == (Verdict.OVERFITTING, None)


def test_one_evaluation_after_the_lowest_is_perhaps() -> None:
    courses = falling(0.7, 0.02, 6), turning(0.7, 0.4, 1.2, 0.67)
    found = first(planted(*courses, evaluations=3, validation_rows=2000))
    assert (found.verdict, found.sureness) == (Verdict.OVERFITTING, Sureness.PERHAPS)


def test_answers_that_go_on_improving_are_said() -> None:
    courses = falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4)
    better = planted(*courses, evaluations=5, scores=np.array([0.6, 0.7, 0.8, 0.85, 0.9]))
    found = first(better)
    assert (found.verdict, found.sureness) == (Verdict.OVERFITTING, Sureness.PERHAPS)
    assert "accuracy went on rising" in found.evidence
    assert found.change is None
    level = first(replace(better, scores=np.full(5, 0.8)))
    assert "accuracy" not in level.evidence


def test_a_rising_validation_loss_alone_is_not_overfitting() -> None:
    """The training loss rises, too: whatever this is, it has not learnt its rows by heart."""
    both = turning(0.7, 0.4, 0.65, 0.4)
    verdicts = {reading.verdict for reading in read(planted(both, both), SETTINGS)}
    assert Verdict.OVERFITTING not in verdicts


def test_what_is_wrong_comes_together_the_surest_first() -> None:
    answers = replace(GUESSING, rows=6, variety=1, majority=0.6)
    curves = planted(
        falling(0.7, 0.02, 6), turning(0.7, 0.4, 1.5, 0.4), evaluations=10, answers=answers
    )
    assert [reading.verdict for reading in read(curves, SETTINGS)] == [
        Verdict.OVERFITTING,
        Verdict.COLLAPSED,
    ]

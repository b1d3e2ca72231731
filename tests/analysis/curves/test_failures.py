from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.analysis.curves.planted import falling, planted, turning
from tunesmith.analysis.curves import failures as module
from tunesmith.analysis.curves.diagnosis import Assessment, Diagnosis
from tunesmith.analysis.curves.failures import diverged
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.analysis.curves.outcomes import assess
from tunesmith.analysis.curves.series import Curves, PredictionStats
from tunesmith.recipe import TrainSettings

SETTINGS = TrainSettings(epochs=4)
GUESSING = PredictionStats(
    200, 2, "a", majority=0.5, guessing=0.69, guessing_spread=0.1, untrained=float(np.log(2))
)


def first(curves: Curves, settings: TrainSettings = SETTINGS) -> Assessment:
    return assess(curves, settings)[0]


def test_three_skipped_updates_at_the_end_are_divergence() -> None:
    curves = planted(falling(0.7, 0.5, 1), None)
    stopped = replace(curves, skipped=(401, 402, 403), is_finished=False)
    result = first(stopped, TrainSettings(learning_rate=1e-3))
    assert (result.diagnosis, result.confidence) == (Diagnosis.DIVERGED, Confidence.SURE)
    assert "401 to 403" in result.evidence
    assert str(result.change) == "train.learning_rate: 0.0002"
    for harmless in ((401, 403, 405), (10, 11, 12), (402, 403)):
        recovered = replace(curves, skipped=harmless, is_finished=True)
        assert first(recovered).diagnosis is not Diagnosis.DIVERGED


def test_a_loss_that_ends_above_its_beginning_is_divergence() -> None:
    curves = planted(lambda share: 0.7 + 5 * share**2, falling(0.7, 0.7, 1))
    assert first(curves).diagnosis is Diagnosis.DIVERGED


def test_a_rise_above_the_beginning_is_a_rate_too_high() -> None:
    hump = planted(lambda share: 0.7 + 4 * np.exp(-(((share - 0.3) / 0.1) ** 2)), None)
    result = first(hump)
    assert (result.diagnosis, result.confidence) == (Diagnosis.TOO_HIGH, Confidence.SURE)
    assert str(result.change) == "train.learning_rate: 1.0e-05"


def test_worse_than_an_untrained_head_is_a_rate_too_high() -> None:
    """It may fall all the time: what counts is that a head that knows nothing does better."""
    course = falling(3.0, 0.7, 4)
    assert first(planted(course, None)).diagnosis is Diagnosis.HEALTHY
    result = first(planted(course, None, predictions=GUESSING))
    assert (result.diagnosis, result.confidence) == (Diagnosis.TOO_HIGH, Confidence.SURE)


@pytest.mark.parametrize("where", ["train", "validation"])
def test_ups_and_downs_are_erratic(where: str) -> None:
    def jumping(share: np.ndarray) -> np.ndarray:
        return np.where(np.floor(share * 10) % 2 == 0, 0.65, 0.15)

    calm = falling(0.7, 0.1, 5)
    courses = (jumping, calm) if where == "train" else (calm, jumping)
    result = first(planted(*courses, evaluations=10, validation_rows=400))
    assert (result.diagnosis, result.confidence) == (Diagnosis.ERRATIC, Confidence.SURE)
    assert where.removesuffix("ation") in result.evidence
    assert str(result.change) == "train.learning_rate: 2.0e-05"


def test_without_clipping_clipping_is_tried_first() -> None:
    def jumping(share: np.ndarray) -> np.ndarray:
        return np.where(np.floor(share * 10) % 2 == 0, 0.65, 0.15)

    result = first(planted(jumping, None), TrainSettings(max_grad_norm=None))
    assert str(result.change) == "train.max_grad_norm: 1"


@pytest.mark.parametrize(
    ("rows", "majority", "sure"),
    [
        (12, 0.5, Confidence.SURE),
        (8, 0.5, Confidence.LIKELY),
        (5, 0.5, Confidence.PERHAPS),
        (4, 0.5, None),
        (408, 0.684, Confidence.SURE),
        (100, 0.99, None),
    ],
)
def test_one_answer_is_collapse_where_right_answers_would_differ(
    rows: int, majority: float, sure: Confidence | None
) -> None:
    predictions = PredictionStats(rows, 1, "equivalent", majority)
    curves = planted(falling(0.7, 0.68, 1), falling(0.69, 0.69, 1), predictions=predictions)
    result = first(curves)
    assert (result.diagnosis is Diagnosis.COLLAPSED) == (sure is not None)
    if sure is not None:
        assert result.confidence is sure
        assert '"equivalent"' in result.evidence


def test_collapse_while_the_rows_are_learned_is_no_matter_of_pace() -> None:
    predictions = replace(GUESSING, variety=1)
    result = first(planted(falling(0.7, 0.1, 5), falling(0.69, 0.69, 1), predictions=predictions))
    assert (result.diagnosis, result.change) == (Diagnosis.COLLAPSED, None)


def test_numbers_that_hardly_vary_are_collapse() -> None:
    flat = falling(2, 1, 3)
    for variety, collapsed in ((0.02, True), (0.6, False)):
        predictions = PredictionStats(100, variety, "3", None)
        result = first(planted(flat, flat, predictions=predictions))
        assert (result.diagnosis is Diagnosis.COLLAPSED) == collapsed


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
    result = first(planted(level, level, predictions=GUESSING, seed=3), settings)
    assert (result.diagnosis, result.confidence) == (Diagnosis.UNDERFITTING, Confidence.SURE)
    assert str(result.change) == change


def test_a_loss_on_its_way_down_wants_time() -> None:
    slow = falling(0.75, 0.3, 0.35)
    result = first(planted(slow, slow, predictions=GUESSING, validation_rows=1000), SETTINGS)
    assert result.diagnosis is Diagnosis.UNDERFITTING
    assert str(result.change) == "train.epochs: 8"


def test_overfitting_says_since_when_and_ends_there() -> None:
    curves = planted(falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4), evaluations=10)
    result = first(curves)
    assert (result.diagnosis, result.confidence) == (Diagnosis.OVERFITTING, Confidence.SURE)
    assert str(result.change) == "train.epochs: 2"
    with_steps = first(curves, TrainSettings(max_steps=400))
    assert with_steps.change is not None
    assert with_steps.change.key == "train.max_steps"
    assert f"step {with_steps.change.value} " in with_steps.evidence
    one_epoch = replace(curves, steps_per_epoch=400)
    assert str(first(one_epoch, TrainSettings(epochs=1)).change) == "train.learning_rate: 2.0e-05"


def test_early_stopping_has_seen_to_it() -> None:
    curves = planted(falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4))
    result = first(replace(curves, total_steps=4000))
    assert (result.diagnosis, result.change) == (Diagnosis.OVERFITTING, None)


def test_one_evaluation_after_the_lowest_is_perhaps() -> None:
    courses = falling(0.7, 0.02, 6), turning(0.7, 0.4, 1.2, 0.67)
    result = first(planted(*courses, evaluations=3, validation_rows=2000))
    assert (result.diagnosis, result.confidence) == (Diagnosis.OVERFITTING, Confidence.PERHAPS)


def test_answers_that_go_on_improving_are_said() -> None:
    courses = falling(0.7, 0.02, 6), turning(0.7, 0.4, 0.8, 0.4)
    better = planted(*courses, evaluations=5, scores=np.array([0.6, 0.7, 0.8, 0.85, 0.9]))
    result = first(better)
    assert (result.diagnosis, result.confidence) == (Diagnosis.OVERFITTING, Confidence.PERHAPS)
    assert "accuracy kept rising" in result.evidence
    assert result.change is None
    level = first(replace(better, scores=np.full(5, 0.8)))
    assert "accuracy" not in level.evidence


def test_a_rising_validation_loss_alone_is_not_overfitting() -> None:
    """The training loss rises, too: whatever this is, it has not learned its rows by heart."""
    both = turning(0.7, 0.4, 0.65, 0.4)
    verdicts = {assessment.diagnosis for assessment in assess(planted(both, both), SETTINGS)}
    assert Diagnosis.OVERFITTING not in verdicts


def test_what_is_wrong_comes_together_the_surest_first() -> None:
    predictions = replace(GUESSING, rows=6, variety=1, majority=0.6)
    curves = planted(
        falling(0.7, 0.02, 6), turning(0.7, 0.4, 1.5, 0.4), evaluations=10, predictions=predictions
    )
    assert [assessment.diagnosis for assessment in assess(curves, SETTINGS)] == [
        Diagnosis.OVERFITTING,
        Diagnosis.COLLAPSED,
    ]


# the rules against their formulas, on losses without chance


def plain(
    losses: Sequence[float], validation: Sequence[float] = (), rows: int = 100, **more: object
) -> Curves:
    """Lines of 64 rows each, eight steps apart, so that each is a window of its own."""
    total = 8 * len(losses)
    curves = replace(
        planted(falling(1, 1, 1), None),
        steps=np.arange(8, total + 1, 8),
        losses=np.array(losses, float),
        grad_norms=np.ones(len(losses)),
        learning_rates=np.ones(len(losses)),
        evaluated=np.linspace(0, total, len(validation) + 1)[1:].astype(int),
        validation=np.array(validation, float),
        scores=np.full(len(validation), np.nan),
        batch_size=8,
        steps_per_epoch=total,
        total_steps=total,
        validation_rows=rows if len(validation) else 0,
    )
    return replace(curves, **more)  # type: ignore[arg-type]


def expected_confidence(chance: float) -> Confidence | None:
    limits = ((0.001, Confidence.SURE), (0.01, Confidence.LIKELY), (0.05, Confidence.PERHAPS))
    return next((word for limit, word in limits if chance < limit), None)


def error(loss: float, rows: float = 64) -> float:
    return 1.5 * loss / math.sqrt(rows)


def with_untrained(untrained: float | None) -> PredictionStats:
    return replace(GUESSING, guessing=None, untrained=untrained)


@pytest.mark.parametrize("untrained", [None, 0.5, 2.0])
def test_how_far_above_the_beginning_divergence_is(untrained: float | None) -> None:
    predictions = with_untrained(untrained)
    seen = set()
    for last in np.linspace(1, 20, 60):
        at_end = (1 + last) / 2  # of the last quarter: two lines of eight
        ceiling = 1.5 * max(1.0, untrained or 0.0)
        errors = (at_end - ceiling) / math.hypot(1.5 * error(1.0), error(at_end, 128))
        expected = expected_confidence(stats.norm.sf(errors))
        result = diverged(plain([1.0] * 7 + [last], predictions=predictions), SETTINGS)
        seen.add(expected)
        assert (result and result.confidence) == (
            None if expected is Confidence.PERHAPS else expected
        )
        if result is not None:
            assert result.evidence == (
                f"the training loss began at 1 and ends at {at_end:.3g}, step 64"
            )
            assert str(result.change) == "train.learning_rate: 1.0e-05"
    assert len(seen) == 4
    assert diverged(plain([1, 99, 99]), SETTINGS) is None
    assert diverged(plain([1, 99, 99, 99]), SETTINGS) is not None


def test_how_a_rise_above_the_beginning_is_measured() -> None:
    for seed in range(20):
        losses = np.exp(np.random.default_rng(seed).normal(size=4 + seed % 7))
        untrained = (0.0, 1.2)[seed % 2]
        result = module._rise(plain(losses).windows, untrained)
        assert result is not None
        ceiling = 1.1 * max(losses[0], untrained)
        rises = []
        for i in range(1, len(losses)):
            low, high = losses[:i].min(), losses[i]
            rises.append(min(high - low, high - ceiling) / math.hypot(error(low), error(high)))
        top = int(np.argmax(rises))
        chance = min(1.0, len(rises) * stats.norm.sf(rises[top]))
        assert result[0] == pytest.approx(chance, rel=1e-9)
        assert result[1] == (
            f"the training loss rose from {losses[: top + 1].min():.3g} to {losses[top + 1]:.3g} "
            f"at step {8 * (top + 2)}, above where it began ({losses[0]:.3g})"
        )


def test_how_worse_than_untrained_is_measured() -> None:
    losses = [1.2, 1.0, 0.8, 0.7, 0.6, 0.1, 0.1, 0.1]
    curves = plain(losses, predictions=with_untrained(0.69))
    result = module._worse(curves, curves.windows)
    assert result is not None
    mean = np.mean(losses[:4])
    assert result[0] == pytest.approx(stats.norm.sf((mean - 1.1 * 0.69) / error(mean, 256)))
    assert result[1] == (
        f"up to step 32 the training loss was {mean:.3g} on average; an untrained head has 0.69"
    )
    for unknown in (plain(losses), plain(losses, predictions=with_untrained(None))):
        assert module._worse(unknown, unknown.windows) is None
    assert module._too_high(plain([1, 50, 50]), SETTINGS) is None
    high = module._too_high(plain([1, 50, 50, 50]), SETTINGS)
    assert high is not None and high.confidence is Confidence.SURE
    assert module._too_high(plain([1, 1, 1, 1]), SETTINGS) is None


@pytest.mark.parametrize(
    ("values", "swings"),
    [
        ([1, 5, 1], [(1, 5, 1)]),
        ([2, 1, 5, 1], [(1, 5, 2)]),
        ([1, 4, 5, 1], [(1, 5, 2)]),
        ([1, 5, 2, 6, 0], [(1, 5, 1), (2, 6, 3)]),
        ([5, 1, 1, 1], []),
        ([1, 5, 5, 5], []),
        ([1, 1.4, 1], []),
        ([1, 5, 4.6, 5, 1], [(1, 5, 1)]),
        ([], []),
    ],
)
def test_what_a_swing_is(values: list[float], swings: list[tuple[float, float, int]]) -> None:
    result = module._swings(np.array(values, float), [0.1] * len(values))
    size = math.hypot(0.1, 0.1)
    assert result == [(pytest.approx((top - low) / size), low, top, at) for low, top, at in swings]
    assert module._swings(np.array([1.0, 1.0, 0.5]), [0.0] * 3) == []


def test_ups_and_downs_as_text() -> None:
    result = module._erratic(plain([1, 5, 1, 6, 1, 1]), SETTINGS)
    assert result is not None and result.confidence is Confidence.SURE
    assert result.evidence == (
        "the training loss went up and down again 2 times, most at step 32: 1 to 6"
    )
    assert module._erratic(plain([1, 5, 1, 1, 1, 1]), SETTINGS) is None
    assert module._erratic(plain([1, 5, 1]), SETTINGS) is None
    by_validation = module._erratic(plain([1] * 8, [1, 5, 1, 6, 1], rows=400), SETTINGS)
    assert by_validation is not None
    assert by_validation.evidence == (
        "the validation loss went up and down again 2 times, most at step 51: 1 to 6"
    )
    # a loss far below the first depends on few rows, and swings by chance
    assert module._erratic(plain([4, 0.01, 0.5, 0.01, 0.5, 0.01]), SETTINGS) is None
    assert module._erratic(plain([0.1, 0.01, 0.5, 0.01, 0.5, 0.01]), SETTINGS) is not None


def test_numbers_that_vary_too_little_by_their_formula() -> None:
    seen = set()
    for variety in np.linspace(0.0, 0.5, 30):
        predictions = PredictionStats(20, variety, "3", None)
        result = module._collapsed(plain([1] * 8, [1, 1], predictions=predictions), SETTINGS)
        chance = stats.norm.sf(math.log(0.3 / max(variety, 1e-9)) * math.sqrt(40))
        seen.add(expected_confidence(chance))
        assert (result and result.confidence) == expected_confidence(chance)
        if result is not None:
            assert result.evidence == (
                f"the predictions for 20 validation rows vary by {variety:.1%} of what the labels "
                "vary"
            )
    assert len(seen) >= 3
    for rows, is_found in ((1, False), (2, True)):
        predictions = PredictionStats(rows, 1, "x", 0.001)
        result = module._collapsed(plain([1] * 8, [1, 1], predictions=predictions), SETTINGS)
        assert (result is not None) is is_found
    assert module._collapsed(plain([1] * 8), SETTINGS) is None
    assert (
        module._collapsed(plain([1] * 8, predictions=PredictionStats(99, 2, "x", 0.5)), SETTINGS)
        is None
    )


@pytest.mark.parametrize("spread", [0.1, 0.8])
def test_where_guessing_is_next_to_its_formula(spread: float) -> None:
    predictions = replace(GUESSING, guessing_spread=spread)
    seen = set()
    for trained, validated in itertools.product(np.linspace(0.5, 1.0, 9), repeat=2):
        curves = plain([1.0] * 6 + [trained] * 2, [1.0, validated], predictions=predictions)
        result = module._underfitting(curves, SETTINGS)
        errors = min(
            (loss - 0.85 * 0.69) / (max(0.5, spread) * 0.69 / math.sqrt(rows))
            for loss, rows in ((trained, 128), (validated, 100))
        )
        expected = expected_confidence(stats.norm.sf(errors))
        seen.add(expected)
        assert (result and result.confidence) == expected
        if result is not None:
            assert result.evidence == (
                f"at the end, epoch 1, the training loss is {trained:.3g} and the validation loss "
                f"{validated:.3g}; guessing by the frequencies of the labels has 0.69"
            )
    assert len(seen) >= 3
    for unknown in (
        plain([1.0] * 8, [1.0]), plain([1.0] * 8, predictions=predictions),
        plain([1.0] * 3, [1.0], predictions=predictions),
        plain([1.0] * 8, [1.0], predictions=replace(predictions, guessing=None)),
    ):  # fmt: skip
        assert module._underfitting(unknown, SETTINGS) is None


def test_what_to_try_where_nothing_was_learned() -> None:
    level = plain([0.69] * 6, predictions=GUESSING)  # 48 steps

    def change(rate: float, curves: Curves, **more: object) -> str:
        return str(module._other_pace(curves, TrainSettings(learning_rate=rate, epochs=4, **more)))  # type: ignore[arg-type]

    enough = replace(level, skipped=(50,))
    assert change(5e-5, replace(level, skipped=(49,))) == "train.epochs: 8"
    assert change(5e-5, enough) == "train.learning_rate: 0.0003"
    assert change(9e-6, level) == "train.learning_rate: 9.0e-05"
    assert change(1e-5, enough) == "train.learning_rate: 5.0e-05"
    assert change(2e-4, enough) == "train.learning_rate: 0.001"
    assert change(3e-4, enough) == "train.learning_rate: 6.0e-05"
    assert change(5e-5, plain([0.69] * 3 + [0.69] * 5, predictions=GUESSING), freeze=("base",)) == (
        "train.freeze: []"
    )
    assert change(5e-5, plain([9.0] * 8, predictions=GUESSING)) == "train.learning_rate: 1.0e-05"


def test_overfitting_as_text() -> None:
    train = np.linspace(1.0, 0.05, 20)
    curves = plain(train, [0.9, 0.5, 0.8, 1.0, 1.2], rows=2000)
    result = module._overfitting(curves, SETTINGS)
    assert result is not None
    assert (result.diagnosis, result.confidence) == (Diagnosis.OVERFITTING, Confidence.SURE)
    assert result.evidence == (
        "the validation loss is lowest at step 64 (0.5); 3 evaluations later it is 1.2, while the "
        "training loss fell to 0.05"
    )
    assert str(result.change) == "train.epochs: 1"
    small = plain(train, [0.9, 0.5, 0.5, 0.5, 0.524], rows=10**9)
    assert module._overfitting(small, SETTINGS) is None
    assert module._overfitting(plain(train, [0.5]), SETTINGS) is None
    two = module._overfitting(plain(train, [0.5, 1.5], rows=2000), SETTINGS)
    assert two is not None and two.confidence is Confidence.PERHAPS
    assert "1 evaluation later it is 1.5" in two.evidence
    assert module._overfitting(plain([], [0.5, 1.5]), SETTINGS) is None
    assert module._overfitting(plain(train[::-1], curves.validation, rows=2000), SETTINGS) is None


def test_when_answers_improve() -> None:
    def improve(scores: list[float], rows: int = 64, *, higher: bool = True) -> bool:
        curves = plain([1.0] * 4, [1.0, 2.0], rows, scores=np.array(scores), higher=higher)
        return module._predictions_improve(curves, 0)

    assert not improve([0.5, 0.625])  # an eighth, as chance gives of 64 rows
    assert improve([0.5, 0.625], 65)
    assert improve([0.5, 1.0])
    assert not improve([0.5, 1.01])
    assert not improve([np.nan, 1.0])
    assert not improve([0.5, 1.0], higher=False)


def test_where_a_shorter_run_ends() -> None:
    curves = plain([1.0] * 50, steps_per_epoch=100)
    for step, change in ((100, "1"), (101, "2"), (300, "3")):
        assert str(module._shorter(curves, SETTINGS, step)) == f"train.epochs: {change}"
    assert str(module._shorter(curves, SETTINGS, 301)) == "train.learning_rate: 2.0e-05"
    stopped = replace(curves, total_steps=401)
    assert module._shorter(stopped, SETTINGS, 100) is None
    steps = module._shorter(curves, TrainSettings(max_steps=400), 100)
    assert str(steps) == "train.max_steps: 100"

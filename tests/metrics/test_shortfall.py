from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.metrics.differences import difference
from tunesmith.metrics.scores import METRICS, BaselineAnswers, Metric, Scores, compute
from tunesmith.metrics.shortfall import (
    BEATEN,
    COLLAPSED,
    LEVEL,
    Shortfall,
    compare_with_tfidf,
    find_shortfall,
    shortfalls_of,
)
from tunesmith.metrics.uncertainty import with_intervals

TRUTH = np.array([1] * 279 + [0] * 129)


def scored(predicted: np.ndarray, truth: np.ndarray = TRUTH, *names: str) -> Scores:
    """With the interval, next to the most frequent class or the mean."""
    metrics = [METRICS[name] for name in names or ("accuracy", "f1")]
    same = np.full_like(truth, truth.mean() if truth.dtype.kind == "f" else np.median(truth))
    result = with_intervals(compute(metrics, predicted, truth), examples=len(truth))
    return replace(result, baselines={"constant": compute(metrics, same, truth).values})


def flipped(share: float, truth: np.ndarray = TRUTH) -> np.ndarray:
    """Wrong in so many of a hundred rows, alike in all classes."""
    return np.where(np.arange(len(truth)) * 37 % 100 < 100 * share, 1 - truth, truth)


ELSEWHERE = np.where((np.arange(408) * 37 + 50) % 100 < 13, 1 - TRUTH, TRUTH)
"""Wrong in thirteen of a hundred rows, others than `flipped` begins with."""


def test_a_constant_prediction_is_called_collapsed() -> None:
    verdict = find_shortfall(scored(np.ones(408, dtype=int)))
    assert verdict == Shortfall(COLLAPSED, 408)
    problem = verdict.problem("validation")
    assert str(problem).startswith(
        "warning M135: validation: collapsed: the predictions for all 408 rows are the same"
    )
    assert verdict.title == "M135 collapsed"
    # what to change in the recipe is said in one place, from the curves
    assert "label and text columns" in str(problem.fix) and "explain" in str(problem.fix)
    assert "rate" not in str(problem.fix) and "epoch" not in str(problem.fix)


def test_a_good_model_is_not_judged() -> None:
    assert find_shortfall(scored(flipped(0.14))) is None


def test_the_interval_that_reaches_the_majority_is_level_with_it() -> None:
    """Accuracy 0.70 of 408 rows, where always the same gives 0.68."""
    scores = scored(flipped(0.30))
    verdict = find_shortfall(scores, by="accuracy")
    assert verdict is not None and verdict.code == LEVEL and verdict.score == "accuracy"
    assert verdict.constant == pytest.approx(0.6838, abs=1e-4)
    assert verdict.low is not None and verdict.low <= verdict.constant
    assert "M136" in str(verdict.problem("test"))
    assert f"{scores['accuracy']:.4f}" in verdict.sentence()
    worse = find_shortfall(scored(flipped(0.6)), by="accuracy")
    assert worse is not None and worse.code == LEVEL


def test_guessing_is_found_where_the_constant_scores_nothing() -> None:
    """F1 of always "no" is zero, so any guess beats it; Matthews' coefficient does not."""
    truth = np.arange(400) % 2
    guesses = np.random.default_rng(0).integers(0, 2, 400)
    scores = replace(scored(guesses, truth, "f1"), baselines={"constant": {"f1": 0.0}})
    verdict = find_shortfall(scores)
    assert verdict is not None and verdict.score == "matthews_correlation"
    assert verdict.constant == 0.0


def test_the_score_that_chooses_may_have_no_baseline() -> None:
    """Then the first that has one is judged: accuracy 0.70, where always the same gives 0.68."""
    scores = scored(flipped(0.30), TRUTH, "accuracy", "f1", "matthews_correlation")
    for by, expected in (("accuracy", "accuracy"), ("loss", "accuracy"), (None, "accuracy")):
        verdict = find_shortfall(scores, by=by)
        assert verdict is not None and verdict.score == expected
    for name in ("f1", "accuracy"):
        only = {"constant": {name: 0.999}}
        verdict = find_shortfall(replace(scores, baselines=only), by="matthews_correlation")
        assert verdict is not None and (verdict.score, verdict.constant) == (name, 0.999)
    both = {"constant": {"accuracy": 0.0, "f1": 0.999}}
    verdict = find_shortfall(replace(scores, baselines=both), by="f1")
    assert verdict is not None and verdict.score == "f1"
    assert find_shortfall(replace(scored(flipped(0.1)), baselines={}), by="accuracy") is None


def test_what_the_constant_cannot_score_counts_as_nothing() -> None:
    nothing = {"constant": {"matthews_correlation": None}}
    scores = scored(flipped(0.14), TRUTH, "matthews_correlation")
    assert find_shortfall(replace(scores, baselines=nothing)) is None
    verdict = find_shortfall(
        replace(scored(flipped(0.5), TRUTH, "matthews_correlation"), baselines=nothing)
    )
    assert verdict is not None and verdict.constant == 0.0


def test_an_interval_that_just_reaches_the_bar_is_level() -> None:
    scores = scored(flipped(0.20))
    low = scores.intervals["accuracy"].low
    for bar, expected in ((low, LEVEL), (low - 1e-9, None)):
        verdict = find_shortfall(
            replace(scores, baselines={"constant": {"accuracy": bar}}), by="accuracy"
        )
        assert (verdict and verdict.code) == expected
    errors = scored(np.arange(90.0) % 7, np.arange(90.0) % 5, "mean_squared_error")
    high = errors.intervals["mean_squared_error"].high
    for bar, expected in ((high, LEVEL), (high + 1e-9, None)):
        verdict = find_shortfall(
            replace(errors, baselines={"constant": {"mean_squared_error": bar}})
        )
        assert (verdict and verdict.code) == expected


# next to TF-IDF


def with_baselines(
    predicted: np.ndarray, tfidf: np.ndarray, *names: str, places: np.ndarray | None = None
) -> Scores:
    """A model, and what the TF-IDF baseline answers to the same rows, or to some of them."""
    scores = scored(predicted, TRUTH, *names)
    metrics = scores.answers.metrics if scores.answers else ()
    rows = np.arange(len(TRUTH)) if places is None else places
    result = compute(metrics, tfidf[rows], TRUTH[rows])
    assert result.answers is not None
    return replace(
        scores,
        baselines={**scores.baselines, "tfidf": result.values},
        baseline_answers={"tfidf": BaselineAnswers(places, result.answers)},
    )


def test_losing_to_tfidf_comes_first() -> None:
    """It is better than the majority class, yet TF-IDF is better still."""
    verdict = find_shortfall(with_baselines(flipped(0.2), flipped(0.05)), by="accuracy")
    assert verdict is not None
    assert (verdict.code, verdict.rows, verdict.score) == (BEATEN, 408, "accuracy")
    tfidf, model = (scored(flipped(wrong)).answers for wrong in (0.05, 0.2))
    assert tfidf is not None and model is not None
    reported = difference(tfidf, model)["accuracy"]
    assert reported.interval is not None
    assert (verdict.low, verdict.high) == (reported.interval.low, reported.interval.high)
    assert (verdict.value, verdict.tfidf) == (reported.second, reported.first)
    assert verdict.high is not None and verdict.high < 0
    problem = verdict.problem("test")
    assert problem.message == (
        f"test: worse than the TF-IDF baseline: accuracy {reported.second:.4f}, the baseline "
        f"{reported.first:.4f} on the same 408 rows (difference {reported.change:+.4f}, 95%: "
        f"{verdict.low:+.4f} to {verdict.high:+.4f})"
    )
    assert "TF-IDF baseline may be good enough" in str(problem.fix)
    assert "epoch" not in str(problem.fix)
    level = find_shortfall(with_baselines(flipped(0.3), flipped(0.05)), by="accuracy")
    assert level is not None and level.code == BEATEN  # though it is level with the majority, too


def test_a_model_that_is_as_good_as_tfidf_has_not_lost() -> None:
    assert find_shortfall(with_baselines(flipped(0.14), ELSEWHERE)) is None
    assert find_shortfall(with_baselines(flipped(0.05), flipped(0.2))) is None
    reported = compare_with_tfidf(with_baselines(flipped(0.05), flipped(0.2)), by="f1")
    assert (
        reported is not None and reported.score == "f1" and reported.is_sure and reported.is_better
    )
    level = compare_with_tfidf(with_baselines(flipped(0.14), ELSEWHERE))
    assert level is not None and not level.is_sure and not level.is_better
    assert level.score == "accuracy" and level.low <= 0 <= level.high
    assert compare_with_tfidf(scored(flipped(0.1))) is None


def test_a_collapsed_model_that_tfidf_beats_says_both() -> None:
    scores = with_baselines(np.ones(408, int), flipped(0.05))
    verdict = find_shortfall(scores, by="accuracy")
    assert verdict is not None and verdict.code == COLLAPSED
    tfidf = scores.baselines["tfidf"]["accuracy"]
    assert verdict.sentence().endswith(f"same; the TF-IDF baseline scores accuracy {tfidf:.4f}")
    assert Shortfall.from_json(verdict.as_json()) == verdict


def test_with_a_part_of_the_rows() -> None:
    """Of many rows the baseline answers some, in an order of its own; the model's are those."""
    places = np.array([5, 3, *range(100, 300)])
    reported = compare_with_tfidf(with_baselines(flipped(0.2), flipped(0.05), places=places))
    assert reported is not None and reported.rows == 202
    assert reported.model == (flipped(0.2)[places] == TRUTH[places]).mean()
    assert reported.tfidf == (flipped(0.05)[places] == TRUTH[places]).mean()


def test_only_scores_that_have_a_better_side_are_compared() -> None:
    scores = with_baselines(flipped(0.2), flipped(0.05))
    for known, name in (({"f1": True}, "f1"), ({"accuracy": True}, "accuracy")):
        both = {"accuracy": None, "f1": None, **known}
        reported = compare_with_tfidf(replace(scores, higher_is_better=both), by="loss")
        assert reported is not None and reported.score == name
        other = ({"accuracy", "f1"} - {name}).pop()
        assert compare_with_tfidf(replace(scores, higher_is_better=both), by=other) == reported
        assert compare_with_tfidf(replace(scores, higher_is_better=known)) == reported
    assert compare_with_tfidf(replace(scores, higher_is_better={})) is None


def test_less_of_an_error_is_better() -> None:
    random = np.random.default_rng(0)
    truth, noise = random.normal(size=(2, 200))
    metrics = [METRICS["mean_squared_error"]]
    scores = scored(truth + noise, truth, "mean_squared_error")
    near = compute(metrics, truth + 0.5 * noise, truth).answers
    assert near is not None
    reported = compare_with_tfidf(
        replace(scores, baseline_answers={"tfidf": BaselineAnswers(None, near)})
    )
    assert reported is not None and reported.is_sure and not reported.is_better and reported.low > 0


def test_verdicts_by_split() -> None:
    verdict = Shortfall(COLLAPSED, 5)
    reported = {"verdicts": {"validation": {**verdict.as_json(), "later": 1}, "test": None}}
    assert shortfalls_of(reported) == {"validation": verdict}
    assert shortfalls_of({}) == {}


def test_a_rare_class_that_is_found_is_worth_something() -> None:
    truth = (np.arange(1000) % 20 == 0).astype(int)
    predicted = np.where(np.arange(1000) % 40 == 0, 1, 0) | (np.arange(1000) % 111 == 1)
    assert find_shortfall(scored(predicted.astype(int), truth, "f1", "accuracy")) is None


def test_numbers() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    names = ("pearson", "mean_squared_error")
    assert find_shortfall(scored(truth + random.normal(size=200), truth, *names)) is None
    noise = find_shortfall(scored(random.normal(size=200), truth, *names))
    assert noise is not None and (noise.score, noise.constant) == ("pearson", 0.0)
    error = find_shortfall(scored(random.normal(size=200), truth, *names), by="mean_squared_error")
    assert error is not None and error.score == "mean_squared_error"
    same = find_shortfall(scored(np.full(200, 0.3), truth, *names))
    assert same is not None and same.code == COLLAPSED


def test_sets_of_labels() -> None:
    truth = np.random.default_rng(0).integers(0, 2, (100, 3))
    scores = with_intervals(
        compute([METRICS["f1_micro"]], np.ones_like(truth), truth), examples=100
    )
    assert find_shortfall(scores) == Shortfall(COLLAPSED, 100)


def test_nothing_is_said_without_intervals() -> None:
    assert find_shortfall(compute([METRICS["accuracy"]], np.ones(4, int), np.arange(4) % 2)) is None
    assert find_shortfall(Scores({"own": 0.3}, {"own": None})) is None


def test_it_is_kept_and_read_again() -> None:
    for verdict in (
        find_shortfall(scored(np.ones(408, int))),
        find_shortfall(scored(flipped(0.3)), by="accuracy"),
    ):
        assert verdict is not None
        assert Shortfall.from_json(verdict.as_json()) == verdict


def test_without_a_constant_the_best_of_the_other_baselines_is_the_bar() -> None:
    """As of choices: the longest one, or the choices alone."""
    others = {"choices": {"accuracy": 0.6}, "longest": {"accuracy": 0.7}}
    verdict = find_shortfall(replace(scored(flipped(0.3)), baselines=others), by="accuracy")
    assert verdict is not None
    assert (verdict.code, verdict.baseline, verdict.constant) == (LEVEL, "longest", 0.7)
    assert "better than the longest choice: accuracy 0.6985" in str(verdict.problem("test"))
    assert Shortfall.from_json(verdict.as_json()) == verdict
    assert find_shortfall(replace(scored(flipped(0.1)), baselines=others)) is None
    unscored = {"longest": {"accuracy": None}}
    assert find_shortfall(replace(scored(flipped(0.3)), baselines=unscored)) is None


def test_scores_of_one_task_are_judged_by_the_best_of_its_baselines() -> None:
    metrics = (
        Metric(
            "exact", (), lambda columns, _truth, _positive: float(columns.mean()), True, None, True
        ),
    )

    def judged(right: int, rows: int = 40, *, sentence: float = 0.3) -> Shortfall | None:
        columns = np.arange(rows) < right
        scores = with_intervals(compute(metrics, columns, np.zeros(rows)), examples=rows)
        bars = {"sentence": {"exact": sentence}, "constant": {"exact": 0.2}}
        return find_shortfall(replace(scores, baselines=bars), by="exact")

    assert judged(30) is None
    verdict = judged(14)
    assert verdict is not None and verdict.code == LEVEL
    assert (verdict.baseline, verdict.constant) == ("sentence", 0.3)
    assert judged(18, sentence=0.1) is None
    # answers that are all wrong have no interval
    nothing = judged(0)
    assert nothing is not None and (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    assert judged(40) is None

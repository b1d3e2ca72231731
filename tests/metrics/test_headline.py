from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.metrics.test_shortfall import ELSEWHERE, TRUTH, flipped, scored, with_baselines
from tunesmith.i18n import use_language
from tunesmith.metrics.headline import Outcome, headline
from tunesmith.metrics.scores import Scores
from tunesmith.runs.model_folder import score_facts


def metadata(scores: Scores, by: str | None = "accuracy", split: str = "test") -> dict[str, Any]:
    rows = {"train": 900, split: 408}
    return {**score_facts({split: scores}, by=by), "best": by, "rows": rows}


def sentence(metadata: Mapping[str, Any], outcome: Outcome) -> str:
    judged = headline(metadata)
    assert judged.outcome is outcome
    return judged.sentence


def shown(scores: Scores, name: str = "accuracy") -> str:
    low, high = scores.intervals[name].low, scores.intervals[name].high
    return f"{name} {scores[name]:.4f} (95%: {low:.4f} to {high:.4f})"


def test_better_than_all_baselines_is_good() -> None:
    scores = with_baselines(flipped(0.05), flipped(0.2))
    bar = scores.baselines["tfidf"]["accuracy"]
    assert sentence(metadata(scores), Outcome.GOOD) == (
        f"Good: {shown(scores)} on 408 test rows; strongest baseline (TF-IDF): {bar:.4f}."
    )
    alone = scored(flipped(0.14))
    assert "(majority class): 0.6838" in sentence(metadata(alone), Outcome.GOOD)


def test_level_with_tfidf_is_no_better() -> None:
    scores = with_baselines(flipped(0.14), ELSEWHERE)
    bar = scores.baselines["tfidf"]["accuracy"]
    assert sentence(metadata(scores), Outcome.LEVEL) == (
        f"Not shown to beat a baseline: {shown(scores)} on 408 test rows; TF-IDF: {bar:.4f}."
    )
    few = {**metadata(scores), "rows": {"test": 99}}
    assert "Too few rows to tell: acc" in sentence(few, Outcome.FEW_ROWS)
    assert "on 99 test rows" in headline(few).sentence


def test_level_with_the_majority_is_no_better() -> None:
    scores = scored(flipped(0.30))
    assert sentence(metadata(scores), Outcome.LEVEL) == (
        f"Not shown to beat a baseline: {shown(scores)} on 408 test rows; majority class: 0.6838."
    )


def test_a_score_that_is_in_no_table_may_decide() -> None:
    truth = np.arange(400) % 2
    guesses = np.random.default_rng(0).integers(0, 2, 400)
    scores = replace(scored(guesses, truth, "f1"), baselines={"constant": {"f1": 0.0}})
    words = sentence(metadata(scores, by="f1"), Outcome.LEVEL)
    assert "matthews_correlation" in words and "majority class: 0.0000" in words


def test_worse_than_tfidf() -> None:
    scores = with_baselines(flipped(0.2), flipped(0.05))
    bar = scores.baselines["tfidf"]["accuracy"]
    assert sentence(metadata(scores), Outcome.BEATEN) == (
        f"Worse than a baseline (M137): {shown(scores)} on 408 test rows; TF-IDF: {bar:.4f}."
    )


def test_collapsed() -> None:
    words = sentence(metadata(scored(np.ones(408, int))), Outcome.COLLAPSED)
    assert words == "Collapsed (M135): all answers are the same on 408 test rows."
    words = sentence(metadata(with_baselines(np.ones(408, int), flipped(0.05))), Outcome.COLLAPSED)
    assert words == (
        "Collapsed (M135): all answers are the same on 408 test rows; TF-IDF: accuracy "
        f"{scored(flipped(0.05))['accuracy']:.4f}."
    )


def test_the_strongest_of_errors_is_the_least() -> None:
    truth = np.random.default_rng(0).normal(size=200)
    scores = scored(truth + 0.1, truth, "mean_squared_error")
    scores = replace(
        scores,
        baselines={
            "constant": {"mean_squared_error": 1.0},
            "tfidf": {"mean_squared_error": 0.5},
        },
    )
    words = sentence(metadata(scores, by="mean_squared_error"), Outcome.GOOD)
    assert words.endswith("strongest baseline (TF-IDF): 0.5000.")
    alone = replace(scores, baselines={"constant": {"mean_squared_error": 1.0}})
    assert "(mean label): 1.0000" in headline(metadata(alone)).sentence


def test_without_a_baseline() -> None:
    alone = replace(scored(flipped(0.14)), baselines={})
    words = sentence(metadata(alone), Outcome.NO_BASELINE)
    assert words == f"No baseline to compare with: {shown(alone)} on 408 test rows."
    own = {"scores": {"test": {"mine": 0.5}}}
    assert sentence(own, Outcome.NO_BASELINE) == (
        "No baseline to compare with: mine 0.5000 on the rows of test."
    )
    nothing = {"scores": {"test": {"mine": None}}, "baselines": {"test": {"tfidf": {"mine": 0.5}}}}
    assert "mine -" in sentence(nothing, Outcome.NO_BASELINE)


def test_without_scores() -> None:
    for empty in ({}, {"scores": {}}, {"scores": {"test": {}}}):
        assert headline(empty).split is None
        assert "no labeled" in sentence(empty, Outcome.NOT_SCORED)


def test_validation_rows_judge_where_none_were_tested() -> None:
    known = metadata(scored(flipped(0.14)), split="validation")
    assert "on 408 validation rows (there are no test rows);" in headline(known).sentence
    assert headline(known).split == "validation"
    tested = {**known, "scores": {**known["scores"], "test": {"accuracy": 0.5}}}
    assert headline(tested).split == "test"
    unlabeled = {**known, "rows": {**known["rows"], "test": 7}}
    assert "on 408 rows of validation;" in headline(unlabeled).sentence
    other = metadata(scored(flipped(0.14)), split="tickets.csv")
    assert "on 408 rows of tickets.csv;" in headline(other).sentence


def test_the_score_that_chose_the_model_comes_first() -> None:
    alone = scored(flipped(0.14))
    assert "f1 " in headline(metadata(alone, by="f1")).sentence
    for by in ("loss", None):  # it has no baseline: the first score that has one
        assert headline(metadata(alone, by=by)).sentence.startswith("Good: accuracy ")


@pytest.mark.parametrize(
    "scores",
    [
        with_baselines(flipped(0.05), flipped(0.2)),
        with_baselines(flipped(0.14), ELSEWHERE),
        with_baselines(flipped(0.2), flipped(0.05)),
        scored(flipped(0.30)),
        scored(np.ones_like(TRUTH)),
        replace(scored(flipped(0.14)), baselines={}),
    ],
)
def test_it_is_said_in_chinese(scores: Scores) -> None:
    english = headline(metadata(scores)).sentence
    use_language("zh")
    chinese = headline(metadata(scores)).sentence
    assert chinese != english and "408" in chinese and chinese.endswith("。")

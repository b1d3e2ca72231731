"""Scores of answers: hand-checked cases, the scripts' own way to compute them, properties."""

from __future__ import annotations

import collections
import itertools
import math
import random
import re
import string
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.metrics.scores import compute
from tunesmith.metrics.squad import (
    ANSWER_METRICS,
    AnsweredQuestion,
    best_threshold,
    exact,
    f1,
    is_exactly_right,
    normalized,
    score_columns,
    words_and_characters,
)
from tunesmith.metrics.uncertainty import intervals

VALUES = "Paris|in Paris|the Eiffel Tower!|eiffel  tower|a|The|1947|paris france|New York|,|"
TEXTS = st.sampled_from(VALUES.split("|")) | st.text("ab the.,!\u4e2d\u3002", max_size=8)


def scores(rows: Sequence[AnsweredQuestion]) -> dict[str, float]:
    columns = score_columns(rows)
    truth = np.zeros(len(rows))
    return {name: metric.function(columns, truth, 1) for name, metric in ANSWER_METRICS.items()}


@pytest.mark.parametrize(
    ("answer", "golds", "is_exact", "overlap"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1, 1),
        ("in Paris France", ["Paris"], 0, 0.5),
        ("", [""], 1, 1),
        ("x", [""], 0, 0),
        ("", ["x"], 0, 0),
        ("Paris", ["Rome", "in Paris"], 0, 2 / 3),
        ("Paris Paris", ["Paris"], 0, 2 / 3),
        ("  a  Paris ", ["paris"], 1, 1),
        ("anthem", ["them"], 0, 0),
        ("U.S.", ["us"], 1, 1),
        ("\u300aParis\u300b", ["Paris"], 0, 0),
        ("the", ["a"], 1, 1),
    ],
)
def test_answers(answer: str, golds: list[str], is_exact: int, overlap: float) -> None:
    assert exact(answer, golds) == is_exact
    assert f1(answer, golds) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("answer", "gold", "is_exact", "overlap"),
    [
        ("\u7f57\u9a6c", "\u7f57\u9a6c\u3002", 1, 1),
        ("\u300a\u7f57\u9a6c\u300b", "\u7f57\u9a6c", 1, 1),
        ("\u5728\u7f57\u9a6c", "\u7f57\u9a6c", 0, 0.8),
        ("\u7f57\u9a6c city", "\u7f57\u9a6c", 0, 0.8),
        ("\u7f57\u9a6cCity", "\u7f57\u9a6c city", 1, 1),
        ("The Tower", "tower", 1, 1),
        ("A\u5ea7", "\u5ea7", 0, 2 / 3),
        ("\u3002", "", 1, 1),
    ],
)
def test_characters_count_in_chinese(answer: str, gold: str, is_exact: int, overlap: float) -> None:
    assert exact(answer, [gold], words_and_characters) == is_exact
    assert f1(answer, [gold], words_and_characters) == pytest.approx(overlap)


def test_questions_with_and_without_an_answer() -> None:
    """At the threshold 0 both are answered, and one has no answer."""
    rows = [
        AnsweredQuestion(["Paris"], "Paris", "Paris", -2.0),
        AnsweredQuestion([], "x", "x", -1.0),
    ]
    expected = {
        "exact": 50, "f1": 50, "exact_cjk": 50, "f1_cjk": 50, "HasAns_exact": 100,
        "HasAns_f1": 100, "NoAns_exact": 0, "NoAns_f1": 0, "best_exact": 100, "best_f1": 100,
    }  # fmt: skip
    assert scores(rows) == expected
    assert best_threshold(score_columns(rows)) == (100, -2)
    assert best_threshold(score_columns(rows), of_f1=False) == (100, -2)
    assert is_exactly_right(score_columns(rows)).tolist() == [True, False]


def test_no_answer_at_all_may_be_best() -> None:
    rows = [AnsweredQuestion([], "x", "x", -1.0), AnsweredQuestion(["y"], "x", "x", -2.0)]
    value, threshold = best_threshold(score_columns(rows))
    assert value == 50
    assert -2.1 < threshold < -2


def test_equal_null_scores_are_answered_together() -> None:
    rows = [AnsweredQuestion(["y"], "y", "y", 0.0), AnsweredQuestion([], "x", "x", 0.0)]
    assert best_threshold(score_columns(rows))[0] == 50


def test_scores_of_rows_that_do_not_occur_are_unknown() -> None:
    rows = score_columns([AnsweredQuestion(["y"], "y")])
    computed = compute(list(ANSWER_METRICS.values()), rows, np.zeros(1))
    assert computed["NoAns_exact"] is None
    assert computed["HasAns_exact"] == 100
    empty = scores([])
    assert all(map(math.isnan, empty.values()))


# --- the script of SQuAD 2.0, as it computes scores: one question after the other ---


def script_normalized(text: str) -> str:
    text = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text).split())


def script_f1(gold: str, answer: str) -> float:
    golds, answers = script_normalized(gold).split(), script_normalized(answer).split()
    same = sum((collections.Counter(golds) & collections.Counter(answers)).values())
    if len(golds) == 0 or len(answers) == 0:
        return int(golds == answers)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(answers), 1.0 * same / len(golds)
    return (2 * precision * recall) / (precision + recall)


def script_row(golds: Sequence[str], answer: str) -> tuple[float, float]:
    texts = [gold for gold in golds if script_normalized(gold)] or [""]
    same = max(int(script_normalized(gold) == script_normalized(answer)) for gold in texts)
    return same, max(script_f1(gold, answer) for gold in texts)


def script_best(rows: Sequence[AnsweredQuestion], of: int) -> tuple[float, float]:
    current = best = sum(not row.golds for row in rows)
    threshold = 0.0
    for row in sorted(rows, key=lambda row: row.null_score):
        has, has_not = script_row(row.golds, row.best)[of], -1 if row.best else 0
        current += has if row.golds else has_not
        if current > best:
            best, threshold = current, row.null_score
    return 100.0 * best / len(rows), threshold


def drawn(random_: random.Random, count: int) -> list[AnsweredQuestion]:
    texts = [text for text in VALUES.split("|") if script_normalized(text)]
    rows = []
    for number in range(count):
        golds = random_.sample(texts, random_.randrange(4))
        best = random_.choice(texts)
        null_score = random_.uniform(-3, 3) + number * 1e-9
        rows.append(AnsweredQuestion(golds, best if null_score <= 0.5 else "", best, null_score))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_the_script(seed: int) -> None:
    rows = drawn(random.Random(seed), 60)
    pairs = [script_row(row.golds, row.answer) for row in rows]
    expected = {}
    for of, name in enumerate(("exact", "f1")):
        values = [pair[of] for pair in pairs]
        has = [value for value, row in zip(values, rows, strict=True) if row.golds]
        no = [value for value, row in zip(values, rows, strict=True) if not row.golds]
        expected |= {
            name: 100 * sum(values) / len(values),
            f"HasAns_{name}": 100 * sum(has) / len(has),
            f"NoAns_{name}": 100 * sum(no) / len(no),
        }
        best, threshold = script_best(rows, of)
        expected[f"best_{name}"] = best
        assert best_threshold(score_columns(rows), of_f1=bool(of))[1] == pytest.approx(threshold)
    computed = scores(rows)
    assert {name: computed[name] for name in expected} == pytest.approx(expected, abs=1e-9)


@settings(max_examples=200)
@given(answer=TEXTS, golds=st.lists(TEXTS, min_size=1, max_size=3))
def test_what_holds_of_every_answer(answer: str, golds: list[str]) -> None:
    assert normalized(answer) == script_normalized(answer)
    assert f1(answer, golds) == pytest.approx(max(script_f1(gold, answer) for gold in golds))
    assert 0 <= exact(answer, golds) <= f1(answer, golds) <= 1
    assert exact(answer, [*golds, answer]) == f1(answer, [*golds, answer]) == 1
    assert f1(answer, golds) <= f1(answer, [*golds, "more"])
    assert f1(answer, golds[:1]) == pytest.approx(f1(golds[0], [answer]))
    assert exact(answer.upper(), golds) == exact(answer, golds)
    if answer.isascii() and all(map(str.isascii, golds)):
        assert exact(answer, golds) == exact(answer, golds, words_and_characters)
        assert f1(answer, golds) == f1(answer, golds, words_and_characters)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 30))
def test_no_threshold_is_better_than_the_best(seed: int, count: int) -> None:
    rows = drawn(random.Random(seed), count)
    for of_f1 in (False, True):
        best, threshold = best_threshold(score_columns(rows), of_f1=of_f1)

        def at(limit: float) -> float:
            answered = [row._replace(answer=row.best if row.null_score <= limit else "")
                        for row in rows]  # fmt: skip
            return scores(answered)["f1" if of_f1 else "exact"]  # noqa: B023 - called here

        assert at(threshold) == pytest.approx(best)
        assert max(at(row.null_score) for row in rows) <= best + 1e-9
        assert at(-4) <= best + 1e-9


def test_they_have_intervals() -> None:
    rows = score_columns(drawn(random.Random(1), 80))
    computed = compute(list(ANSWER_METRICS.values()), rows, np.zeros(len(rows)))
    assert computed.answers is not None
    by_name = intervals(computed.answers, draws=200)
    assert set(by_name) == set(ANSWER_METRICS)
    for name, interval in by_name.items():
        value = computed[name]
        assert value is not None and value in interval
        assert interval.low < interval.high


def test_order_does_not_matter() -> None:
    rows = drawn(random.Random(2), 5)
    first, *others = [scores(list(each)) for each in itertools.permutations(rows)]
    assert all(other == pytest.approx(first) for other in others)

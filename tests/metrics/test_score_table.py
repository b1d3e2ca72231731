from __future__ import annotations

from tunesmith.i18n import use_language
from tunesmith.metrics.concrete_kinds import Number
from tunesmith.metrics.score_table import (
    OF_NUMBERS,
    as_interval,
    as_score,
    numeric_titles,
    score_rows,
)
from tunesmith.metrics.scores import scoring


def test_a_row_per_score_with_its_interval_and_baselines() -> None:
    rows = score_rows(
        "test",
        {"f1": 0.89971, "loss": None},
        {"f1": [0.87412, 0.92301], "loss": None},
        {"constant": {"f1": 0.8122, "loss": None}, "tfidf": {"f1": 0.9}},
    )
    assert [list(row.values()) for row in rows] == [
        ["f1", "0.8997", "0.8741 to 0.9230", "0.9000", "0.8122"],
        ["loss", "-", "-", "-", "-"],
    ]
    assert list(rows[0])[:3] == ["test", "score", "95%"]
    assert set(rows[0]) - set(numeric_titles()) == {"test", "95%"}


def test_without_baselines_there_are_no_columns_for_them() -> None:
    (row,) = score_rows("x", {"f1": 1.0}, {}, {})
    assert list(row.values()) == ["f1", "1.0000", "-"]
    (row,) = score_rows("x", {"pearson": 1.0}, {}, {"constant": {"pearson": None}})
    assert list(row)[-1] == "mean label" and list(row)[-1] in numeric_titles()


def test_scores_of_numbers_are_those_of_the_table_of_metrics() -> None:
    assert scoring(Number.name).keys() == OF_NUMBERS


def test_numbers() -> None:
    assert as_score(None) == "-"
    assert as_score(0.00004) == "0.0000"
    assert as_interval(None) == "-"
    assert as_interval([-0.01, 0.02], sign="+") == "-0.0100 to +0.0200"
    use_language("zh")
    assert "to" not in as_interval([0.1, 0.2])
